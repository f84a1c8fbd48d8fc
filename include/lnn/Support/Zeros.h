//===- Zeros.h - tensors of nothing but zeros -------------------*- C++ -*-===//
#ifndef LNN_SUPPORT_ZEROS_H
#define LNN_SUPPORT_ZEROS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

namespace lnn {

/// A constant of zeros, or a tensor filled with one.
inline bool isZeros(mlir::Value value) {
  if (auto fill = value.getDefiningOp<mlir::linalg::FillOp>())
    value = fill.getInputs()[0];
  return mlir::matchPattern(value, mlir::m_AnyZeroFloat());
}

} // namespace lnn
#endif // LNN_SUPPORT_ZEROS_H
