//===- Passes.h - passes that raise formulas to cells -----------*- C++ -*-===//
#ifndef LNN_TRANSFORMS_RAISE_PASSES_H
#define LNN_TRANSFORMS_RAISE_PASSES_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Dialect/Onnx/Onnx.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace lnn {
#define GEN_PASS_DECL
#include "lnn/Transforms/Raise/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Transforms/Raise/Passes.h.inc"

struct RaiseOptions : mlir::PassPipelineOptions<RaiseOptions> {
  Option<bool> foldFeedback{
      *this, "fold-feedback",
      llvm::cl::desc("compose constant feedback into recurrent matrices"),
      llvm::cl::init(true)};
  Option<bool> remarks{*this, "remarks",
                       llvm::cl::desc("say what became a cell, and what not"),
                       llvm::cl::init(false)};
};
/// On an op outside of a scan: it was computed in the scan, and
/// lnn-sink-producers puts it there again.
inline constexpr llvm::StringLiteral sinkAttribute = "lnn.sink";

/// From what was imported to cells, on the lnn level.
void buildRaisePipeline(mlir::OpPassManager &pm, const RaiseOptions &options);
void registerRaisePipeline();
} // namespace lnn
#endif // LNN_TRANSFORMS_RAISE_PASSES_H
