//===- Passes.h - passes that raise formulas to cells -----------*- C++ -*-===//
#ifndef LNN_TRANSFORMS_RAISE_PASSES_H
#define LNN_TRANSFORMS_RAISE_PASSES_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Dialect/Ode/Ode.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

namespace lnn {
#define GEN_PASS_DECL
#include "lnn/Transforms/Raise/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn
#endif // LNN_TRANSFORMS_RAISE_PASSES_H
