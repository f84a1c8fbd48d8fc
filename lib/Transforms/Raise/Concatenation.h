//===- Concatenation.h - tensors put together of slices ---------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_CONCATENATION_H
#define LNN_LIB_TRANSFORMS_RAISE_CONCATENATION_H

#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lnn::raise {

/// The parts of a concatenation along one dimension, first to last; none where
/// the value isn't one.
llvm::SmallVector<mlir::tensor::InsertSliceOp> partsOf(mlir::Value value,
                                                       int64_t &dim);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_CONCATENATION_H
