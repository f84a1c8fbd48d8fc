//===- Contraction.h - sums of products -------------------------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_CONTRACTION_H
#define LNN_LIB_TRANSFORMS_RAISE_CONTRACTION_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lnn::raise {

/// True for out += lhs * rhs on tensors of floats, without casts between.
inline bool isSumOfProducts(mlir::linalg::LinalgOp op) {
  return op.hasPureTensorSemantics() && op.getNumDpsInits() == 1 &&
         op.getNumDpsInputs() == 2 && op.getNumReductionLoops() > 0 &&
         std::distance(op.getBlock()->begin(), op.getBlock()->end()) == 3 &&
         mlir::linalg::detail::isContractionBody(
             *op.getBlock(), [](mlir::Operation *mul, mlir::Operation *add) {
               return mlir::isa<mlir::arith::MulFOp>(mul) &&
                      mlir::isa<mlir::arith::AddFOp>(add);
             });
}

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_CONTRACTION_H
