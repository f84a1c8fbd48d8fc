//===- Passes.h - free sizes and exposed states -----------------*- C++ -*-===//
#ifndef LNN_STREAMING_PASSES_H
#define LNN_STREAMING_PASSES_H

#include "lnn/Dialect/Onnx/Onnx.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace lnn {
#define GEN_PASS_DECL
#include "lnn/Streaming/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Streaming/Passes.h.inc"
} // namespace lnn
#endif // LNN_STREAMING_PASSES_H
