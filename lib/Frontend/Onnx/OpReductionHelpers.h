//===- OpReductionHelpers.h - reductions over a mask of axes ----*- C++ -*-===//
//
// What reductions, softmax and the norms are written with: elements are widened
// from storage types before the body sees them.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_FRONTEND_ONNX_OPREDUCTIONHELPERS_H
#define LNN_LIB_FRONTEND_ONNX_OPREDUCTIONHELPERS_H

#include "OpHelpers.h"

namespace lnn::onnx {

using Mask = llvm::SmallVector<bool>;

mlir::Value addf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value l,
                 mlir::Value r);
mlir::Value subf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value l,
                 mlir::Value r);
mlir::Value mulf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value l,
                 mlir::Value r);
mlir::Value divf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value l,
                 mlir::Value r);
mlir::Value maxf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value l,
                 mlir::Value r);

/// The dimensions that are not marked.
llvm::SmallVector<Dim> kept(llvm::ArrayRef<Dim> dims,
                            llvm::ArrayRef<bool> mask);

/// Reduces the masked dimensions; the body gets the widened element(s) and the
/// accumulator.
mlir::Value reduce(ExpandContext &ctx, mlir::ValueRange inputs,
                   llvm::ArrayRef<mlir::AffineMap> inputMaps,
                   llvm::ArrayRef<Dim> dims, llvm::ArrayRef<bool> mask,
                   mlir::TypedAttr init, Body body);

/// Maps tensors read through maps to a tensor of `dims`; elements are widened
/// and the result narrowed to `type`.
mlir::Value mapWith(ExpandContext &ctx, mlir::ValueRange inputs,
                    llvm::ArrayRef<mlir::AffineMap> reads,
                    llvm::ArrayRef<Dim> dims, mlir::Type type, Body body);

/// The number of elements reduced over, as a scalar.
mlir::Value countOf(ExpandContext &ctx, llvm::ArrayRef<Dim> dims,
                    llvm::ArrayRef<bool> mask, mlir::Type type);

/// Softmax, LogSoftmax and the norms (OpsNormalization.cpp).
void addNormalizationOps(std::vector<OpEntry> &table);

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_OPREDUCTIONHELPERS_H
