//===- OpWindow.h - windows that slide over dimensions ----------*- C++ -*-===//
//
// What convolutions and pools share: strides, dilations and padding.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_FRONTEND_ONNX_OPWINDOW_H
#define LNN_LIB_FRONTEND_ONNX_OPWINDOW_H

#include "OpHelpers.h"

namespace lnn::onnx {

struct Window {
  int64_t group = 1;
  llvm::SmallVector<int64_t> kernel, strides, dilations;
  /// Padding as the node says; `reach` is what is read behind, which rounding
  /// up makes more of.
  llvm::SmallVector<Dim> before, after, reach;
  llvm::SmallVector<Dim> out; ///< the result's sizes
  bool ceil = false;          ///< a last window may be partial
  int64_t extent(size_t i) const { return dilations[i] * (kernel[i] - 1) + 1; }
};

/// A list attribute of `n` numbers in [least, 2^20], or `otherwise` throughout.
mlir::LogicalResult listAttr(NodeView &node, llvm::StringRef name, size_t n,
                             int64_t least, int64_t otherwise,
                             llvm::SmallVector<int64_t> &values);
/// auto_pad, checked.
mlir::FailureOr<llvm::StringRef> autoPad(NodeView &node);
/// Strides, dilations and kernel sizes; `kernel` are those of the weights, none
/// where the attribute alone says.
mlir::LogicalResult windowShape(NodeView &node, size_t n,
                                llvm::ArrayRef<Dim> kernel, Window &w);
/// Where a window slides over the sizes `in`.
mlir::LogicalResult placeWindows(NodeView &node, DimContext &c,
                                 llvm::ArrayRef<Dim> in, Window &w);
/// The input (batch, channels, sizes...) within `value`; `dims` becomes the
/// padded shape.
mlir::Value padWindow(ExpandContext &ctx, mlir::Value x, const Window &w,
                      llvm::SmallVector<Dim> &dims, mlir::TypedAttr value);
/// Says at run time that every size is at least 0.
void checkWindows(ExpandContext &ctx, const Window &w);

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_OPWINDOW_H
