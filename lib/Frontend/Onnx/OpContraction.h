//===- OpContraction.h - sums of products -----------------------*- C++ -*-===//
//
// What MatMul, Gemm, Einsum and Conv are written with.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_FRONTEND_ONNX_OPCONTRACTION_H
#define LNN_LIB_FRONTEND_ONNX_OPCONTRACTION_H

#include "OpHelpers.h"

namespace lnn::onnx {

/// The element types that products are defined for.
bool isProductType(mlir::Type type);

/// The contraction of l and r (maps: theirs, then the result's) into zeros of
/// `type`, the type that sums are made in.
mlir::Value contract(ExpandContext &ctx, mlir::Value l, mlir::Value r,
                     llvm::ArrayRef<mlir::AffineMap> maps,
                     llvm::ArrayRef<Dim> dims, mlir::Type type);

/// From the type of sums to the type that is stored.
mlir::Value store(ExpandContext &ctx, mlir::Value v, llvm::ArrayRef<Dim> dims,
                  mlir::Type type);

void addEinsumOp(std::vector<OpEntry> &table);       // OpsEinsum.cpp
void addConvolutionOps(std::vector<OpEntry> &table); // OpsConvolution.cpp

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_OPCONTRACTION_H
