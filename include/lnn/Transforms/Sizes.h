//===- Sizes.h - sizes as functions of the arguments' sizes -----*- C++ -*-===//
#ifndef LNN_TRANSFORMS_SIZES_H
#define LNN_TRANSFORMS_SIZES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace lnn {

/// Copies computations on the sizes of a function's arguments to another place,
/// each once: equal computations give the same value.
class SizeCloner {
public:
  /// Copies of values of `func` are made at the builder's insertion point,
  /// which moves behind them.
  SizeCloner(mlir::func::FuncOp func, mlir::OpBuilder builder,
             std::function<mlir::Value(mlir::OpBuilder &, mlir::BlockArgument,
                                       int64_t)>
                 dimOf)
      : func(func), builder(builder), dimOf(std::move(dimOf)) {}

  /// True where the value depends on the arguments' sizes alone.
  bool dependsOnSizesOnly(mlir::Value value);
  /// The copy; the value must depend on sizes only.
  mlir::Value clone(mlir::Value value);
  /// Folds and shares an operation just built (as arith ops of the caller's).
  mlir::Value share(mlir::Operation *op);
  /// Copies go here from now on; those made before must dominate it.
  void moveTo(mlir::OpBuilder::InsertPoint point) {
    builder.restoreInsertionPoint(point);
  }
  mlir::OpBuilder &getBuilder() { return builder; }

private:
  mlir::func::FuncOp func;
  mlir::OpBuilder builder;
  std::function<mlir::Value(mlir::OpBuilder &, mlir::BlockArgument, int64_t)>
      dimOf;
  llvm::DenseMap<mlir::Value, bool> known;
  llvm::DenseMap<mlir::Value, mlir::Value> copies;
  llvm::DenseMap<size_t, llvm::SmallVector<mlir::Operation *, 1>> made;
  bool compute(mlir::Value value, unsigned depth);
};

/// Finds what the dimension of a tensor is, through the operations that made
/// it, without making new ones where it can.
class DimResolver {
public:
  /// The size of dimension `dim` of `tensor`: a constant, or a value defined
  /// before `tensor`; null if it isn't known.
  mlir::OpFoldResult resolve(mlir::Value tensor, int64_t dim,
                             mlir::OpBuilder &builder);

private:
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, mlir::OpFoldResult> cache;
  mlir::OpFoldResult compute(mlir::Value tensor, int64_t dim,
                             mlir::OpBuilder &builder);
  mlir::OpFoldResult resolveLoopArgument(mlir::Value init, mlir::Value yielded,
                                         mlir::Value argument, int64_t dim,
                                         mlir::OpBuilder &builder);
  unsigned depth = 0;
};

/// The first argument's dimension with the name that this one has in
/// `lnn.dims`: the two are equal in every call.
std::pair<mlir::BlockArgument, int64_t>
firstOfThatSize(mlir::func::FuncOp func, mlir::BlockArgument argument,
                int64_t dim);

/// True where the two sizes are equal by how they are computed.
bool equalSizes(mlir::OpFoldResult a, mlir::OpFoldResult b, unsigned depth = 0);

} // namespace lnn
#endif // LNN_TRANSFORMS_SIZES_H
