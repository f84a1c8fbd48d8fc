//===- Evaluate.h - values of small constant expressions --------*- C++ -*-===//
#ifndef LNN_TRANSFORMS_REROLL_EVALUATE_H
#define LNN_TRANSFORMS_REROLL_EVALUATE_H

#include "Graph.h"

namespace lnn::reroll {

/// A tensor's elements in double precision, in row-major order.
struct Values {
  llvm::SmallVector<int64_t> shape;
  std::vector<double> elements;
};

/// A float or integer constant's elements, where there are at most `most`.
std::optional<Values> valuesOf(mlir::ElementsAttr attr, int64_t most);
/// What the node that a label describes computes, where it is known how.
std::optional<Values> evaluate(const Label &label,
                               llvm::ArrayRef<Values> operands);

} // namespace lnn::reroll
#endif // LNN_TRANSFORMS_REROLL_EVALUATE_H
