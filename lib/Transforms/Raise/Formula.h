//===- Formula.h - tensors in index notation --------------------*- C++ -*-===//
//
// One element of a tensor as a formula over indices: numbers, elements of other
// tensors, functions of them, and sums over an index. Ops, broadcasts, reshapes
// and fusion are gone from it; two formulas that are written alike are the same
// object, so that comparing them costs nothing.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_FORMULA_H
#define LNN_LIB_TRANSFORMS_RAISE_FORMULA_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/FoldingSet.h"
#include "llvm/Support/Allocator.h"

namespace lnn::raise {

enum class Kind {
  Number, ///< a constant
  Scalar, ///< a float that is not a tensor's
  Read,   ///< an element of a tensor
  Sum,    ///< over one index
  Apply,  ///< a function of formulas
};

enum class Function {
  Add,
  Sub,
  Mul,
  Div,
  Neg,
  Abs,
  Exp,
  Tanh,
  Sigmoid,
  Other ///< told apart by the op's name and attributes
};

struct Formula : llvm::FoldingSetNode {
  Kind kind;
  mlir::Type type; ///< a float type
  double number = 0;
  mlir::Value value;       ///< of Scalar; the tensor of Read
  mlir::AffineMap indices; ///< of Read
  unsigned variable = 0;   ///< of Sum
  int64_t extent = 0;      ///< of Sum
  Function function = Function::Other;
  mlir::OperationName name; ///< of Apply
  mlir::DictionaryAttr attributes;
  llvm::ArrayRef<const Formula *> operands; ///< of Sum and Apply
  uint64_t variables = 0;                   ///< the free ones, a bit each
  unsigned id = 0;                          ///< in the order they were made

  Formula(Kind kind, mlir::Type type, mlir::OperationName name)
      : kind(kind), type(type), name(name) {}
  void Profile(llvm::FoldingSetNodeID &id) const;
  bool has(unsigned index) const { return variables >> index & 1; }
  bool is(Function f) const { return kind == Kind::Apply && function == f; }
  bool isNumber(double value) const {
    return kind == Kind::Number && number == value;
  }
};
using F = const Formula *;

/// Indices of a tensor: a variable, a variable and a constant, or a constant.
using Indices = llvm::SmallVector<mlir::AffineExpr>;

/// Reads formulas off the IR, and owns them. Values that are erased afterwards
/// must not be read again.
class Notation {
public:
  static constexpr unsigned maxVariables = 64;

  explicit Notation(mlir::MLIRContext *context);

  /// The element of a tensor at these indices. What cannot be looked into, and
  /// what is too far away, is an element of what is there.
  F element(mlir::Value tensor, llvm::ArrayRef<mlir::AffineExpr> indices);
  /// The element at the variables 0, 1, ...; 0 where a dimension has size 1.
  F element(mlir::Value tensor);
  F scalar(mlir::Value value);
  F number(double value, mlir::Type type);
  F apply(mlir::OperationName name, mlir::DictionaryAttr attributes,
          llvm::ArrayRef<F> operands);
  F binary(Function function, F lhs, F rhs);
  F sum(unsigned variable, int64_t extent, F term);

  /// How many ops may still be looked into.
  void setBudget(unsigned ops) { budget = ops; }
  unsigned getBudget() const { return budget; }
  /// Tensors that are looked into no further.
  void addBarrier(mlir::Value value) { barriers.insert(value); }

  mlir::AffineExpr variable(unsigned index) const {
    return mlir::getAffineDimExpr(index, context);
  }
  mlir::AffineExpr zero() const {
    return mlir::getAffineConstantExpr(0, context);
  }
  /// The variables from `first` on, one a dimension; 0 where its size is 1.
  Indices variables(llvm::ArrayRef<int64_t> shape, unsigned first = 0) const;

  /// A tensor of which the formula is an element, and the indices it is at.
  struct Source {
    mlir::Value tensor;
    mlir::AffineMap indices;
  };
  llvm::ArrayRef<Source> sources(F formula) const;
  /// True where the formula reads that value.
  bool reads(F formula, mlir::Value value) const;
  /// The formula's text, for messages.
  static void print(F formula, llvm::raw_ostream &os);

private:
  mlir::MLIRContext *context;
  llvm::BumpPtrAllocator memory;
  llvm::FoldingSet<Formula> formulas;
  llvm::DenseMap<std::pair<mlir::Value, mlir::AffineMap>, F> known;
  llvm::DenseMap<F, llvm::SmallVector<Source, 1>> origins;
  unsigned budget = 0, depth = 0, made = 0;
  llvm::DenseSet<mlir::Value> barriers;

  F unique(const Formula &formula);
  F read(mlir::Value tensor, mlir::AffineMap indices);
  mlir::AffineMap mapOf(llvm::ArrayRef<mlir::AffineExpr> indices) const {
    return mlir::AffineMap::get(maxVariables, 0, indices, context);
  }
  /// Null where the op cannot be looked into.
  F look(mlir::OpResult tensor, llvm::ArrayRef<mlir::AffineExpr> indices);
  F lookLinalg(mlir::linalg::LinalgOp op, unsigned result,
               llvm::ArrayRef<mlir::AffineExpr> indices);
  using Arguments = llvm::DenseMap<mlir::Value, F>;
  /// What a linalg body computes, given its arguments.
  F payload(mlir::Value value, mlir::Block *body, Arguments &computed,
            llvm::function_ref<F(mlir::BlockArgument)> argument);
  F compute(mlir::Value value, mlir::Block *body, Arguments &computed,
            llvm::function_ref<F(mlir::BlockArgument)> argument);
  F fold(Function function, F lhs, F rhs);
};

/// The element type, where it is one that formulas are about; null otherwise.
mlir::Type formulaType(mlir::Type type);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_FORMULA_H
