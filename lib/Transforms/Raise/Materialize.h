//===- Materialize.h - formulas back to tensors -----------------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_MATERIALIZE_H
#define LNN_LIB_TRANSFORMS_RAISE_MATERIALIZE_H

#include "Formula.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Dominance.h"

namespace lnn::raise {

/// Makes values of formulas for an op that goes in front of `before`: those
/// that are there already, constants, or a linalg.generic, outside of all loops
/// that it doesn't depend on.
class Materializer {
public:
  Materializer(Notation &notation, mlir::Operation *before)
      : notation(notation), before(before), loc(before->getLoc()) {}

  /// The tensor of these sizes whose element at `indices` is the formula. Null
  /// where it needs a value that is not available there.
  mlir::Value tensor(F formula, llvm::ArrayRef<mlir::AffineExpr> indices,
                     llvm::ArrayRef<mlir::OpFoldResult> sizes);
  mlir::Value tensor(F formula, llvm::ArrayRef<mlir::AffineExpr> indices,
                     llvm::ArrayRef<int64_t> shape);
  /// A float: the formula has no free variables.
  mlir::Value scalar(F formula);
  mlir::Location getLoc() const { return loc; }

private:
  Notation &notation;
  mlir::Operation *before;
  mlir::Location loc;

  bool isAvailable(mlir::Value value) const;
  mlir::Value existing(F formula, llvm::ArrayRef<mlir::AffineExpr> indices,
                       mlir::RankedTensorType type) const;
  /// What a loop nest over the formula reads: tensors at indices, floats.
  struct Leaves {
    llvm::SmallVector<F> formulas;
    llvm::SmallVector<Notation::Source> reads; ///< without tensor: a float
  };
  bool collect(F formula, Leaves &leaves) const;
  mlir::Operation *placeFor(const Leaves &leaves,
                            llvm::ArrayRef<mlir::OpFoldResult> sizes) const;
  mlir::Value build(mlir::OpBuilder &b, F formula,
                    llvm::DenseMap<F, mlir::Value> &values);
};

/// The source, whose dimensions have the indices `from`, as a tensor whose
/// dimensions have the indices `to`: variables, or 0 where the size is 1. Null
/// where more than dimensions of size 1 would have to move.
mlir::Value reshaped(mlir::Operation *before, mlir::Value source,
                     llvm::ArrayRef<mlir::AffineExpr> from,
                     llvm::ArrayRef<mlir::AffineExpr> to,
                     llvm::ArrayRef<mlir::OpFoldResult> sizes);
/// The same, copied where dimensions change places.
mlir::Value moved(mlir::Operation *before, mlir::Value source,
                  llvm::ArrayRef<mlir::AffineExpr> from,
                  llvm::ArrayRef<mlir::AffineExpr> to,
                  llvm::ArrayRef<mlir::OpFoldResult> sizes);

/// The elements of a constant tensor of floats; none where it isn't one.
std::optional<llvm::SmallVector<double>> constantElements(mlir::Value value);

/// The formula at every point of an index space, last variable fastest, each
/// operation rounded to the formula's type; none where it isn't constant.
std::optional<llvm::SmallVector<double>>
evaluate(F formula, llvm::ArrayRef<mlir::AffineExpr> indices,
         llvm::ArrayRef<int64_t> shape);

/// A constant tensor of these elements.
mlir::Value constantTensor(mlir::OpBuilder &b, mlir::Location loc,
                           mlir::RankedTensorType type,
                           llvm::ArrayRef<double> values);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_MATERIALIZE_H
