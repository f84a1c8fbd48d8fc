//===- OpShapeHelpers.h - what operators that move elements share -*- C++
//-*-===//
//
// Axes, indices that are checked and clamped, and sizes that only a run tells.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_FRONTEND_ONNX_OPSHAPEHELPERS_H
#define LNN_LIB_FRONTEND_ONNX_OPSHAPEHELPERS_H

#include "OpHelpers.h"

namespace lnn::onnx {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

mlir::Value cmpi(ExpandContext &ctx, mlir::arith::CmpIPredicate p,
                 mlir::Value l, mlir::Value r);
mlir::Value constIndex(ExpandContext &ctx, int64_t v);
/// Says at run time that a size computed by the model is not negative.
void checkNonNegative(ExpandContext &ctx, llvm::ArrayRef<Dim> dims);

/// A list of axes as a set over `rank`, each checked.
mlir::LogicalResult maskOf(NodeView &node, llvm::ArrayRef<int64_t> axes,
                           int64_t rank, llvm::SmallVector<bool> &mask);
/// Axes of an input as a set over `rank`.
mlir::LogicalResult axesMask(NodeView &node, const ValueInfo &axes,
                             int64_t rank, llvm::SmallVector<bool> &mask);

inline bool isIndexType(mlir::Type type) {
  return type.isInteger(32) || type.isInteger(64);
}
/// Errors for constant indices outside [-size, size).
mlir::LogicalResult checkKnownIndices(InferContext &ctx,
                                      const ValueInfo &indices, Dim size);
/// Run-time checks of indices; those of constants are of sizes alone.
void checkIndices(ExpandContext &ctx, mlir::Value tensor,
                  const ValueInfo &indices, Dim size);
/// The first of a run of constant indices i, i+1, ..., or nothing.
std::optional<int64_t> ascendingRun(const ValueInfo &indices);
/// Checks that a tensor of indices lies over a part of the data off the axis.
void checkWithin(ExpandContext &ctx, const ValueInfo &part,
                 const ValueInfo &whole, int64_t axis);
/// The length k of the index tuples in indices' last dimension.
mlir::LogicalResult tupleLength(InferContext &ctx, int64_t batch, int64_t &k);
/// Column j of index tuples, checked against the size it indexes.
void checkColumn(ExpandContext &ctx, mlir::Value indices,
                 llvm::ArrayRef<Dim> dims, mlir::Type onnxType, int64_t j,
                 Dim size);
/// at within [0, size), or 0.
mlir::Value clampIndex(mlir::OpBuilder &b, mlir::Location loc, mlir::Value at,
                       mlir::Value size);
/// The number of steps within a span.
Dim steps(DimContext &c, Dim span, int64_t step);
/// The number a constant scalar input holds.
std::optional<double> numberOf(const ValueInfo &info);
/// One element of a constant as an attribute of the converted type.
mlir::TypedAttr elementOf(mlir::ElementsAttr constant, mlir::Type converted);

void addSliceOps(std::vector<OpEntry> &table);     // OpsSlice.cpp
void addGatherOps(std::vector<OpEntry> &table);    // OpsGather.cpp
void addScatterOps(std::vector<OpEntry> &table);   // OpsScatter.cpp
void addRepeatOps(std::vector<OpEntry> &table);    // OpsRepeat.cpp
void addGeneratorOps(std::vector<OpEntry> &table); // OpsGenerator.cpp

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_OPSHAPEHELPERS_H
