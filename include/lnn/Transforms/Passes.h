//===- Passes.h - passes between tensors and buffers ------------*- C++ -*-===//
#ifndef LNN_TRANSFORMS_PASSES_H
#define LNN_TRANSFORMS_PASSES_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace lnn {
/// The function that lnn-split-rows makes: @main for a part of the batch.
constexpr llvm::StringLiteral kRowsEntry = "main_rows";
/// On an scf.parallel whose iterations are for threads to share.
constexpr llvm::StringLiteral sharedLoop = "lnn.shared";
#define GEN_PASS_DECL
#include "lnn/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Transforms/Passes.h.inc"
} // namespace lnn
#endif // LNN_TRANSFORMS_PASSES_H
