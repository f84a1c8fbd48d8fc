//===- Passes.h - fusion, vector loops, vector math -------------*- C++ -*-===//
#ifndef LNN_CODEGEN_PASSES_H
#define LNN_CODEGEN_PASSES_H

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"

namespace lnn {
#define GEN_PASS_DECL
#include "lnn/Codegen/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Codegen/Passes.h.inc"

/// Instructions beyond those that every processor has.
struct MathFeatures {
  bool avx512 = false; ///< AVX-512 F, VL and DQ
  bool half = false;   ///< conversions between f16 and f32
  bool fast = false;   ///< elementary functions to within 1e-4
  bool pairs = false;  ///< sums of two products of bf16: lnn.pair_dot
  bool quads = false;  ///< of four products of 8-bit integers: lnn.quad_dot
};

/// What products with constant matrices are to use, where a processor has it.
struct ProductFeatures {
  bool tiles = false; ///< matrix tiles of bf16, for many rows
  bool pairs = false; ///< sums of two products of bf16
  bool quads = false; ///< sums of four products of 8-bit integers
};

/// On tensors, before bufferization: fusion and its cleanups.
void buildFusionPipeline(mlir::OpPassManager &pm, unsigned lanes,
                         llvm::StringRef weights = "f32",
                         const ProductFeatures &products = {});
/// On buffers: linalg to loops over vectors of `lanes` f32 lanes, and no
/// elementary function left to a library. What the processor has is used.
/// `explain` asks for a remark on each loop nest, `threads` for loops of large
/// sums that threads share.
void buildVectorPipeline(mlir::OpPassManager &pm, unsigned lanes,
                         const MathFeatures &features, bool explain = false,
                         bool threads = false);
} // namespace lnn
#endif // LNN_CODEGEN_PASSES_H
