//===- Edit.h - small changes to a graph of onnx.node -----------*- C++ -*-===//
#ifndef LNN_STREAMING_EDIT_H
#define LNN_STREAMING_EDIT_H

#include "lnn/Dialect/Onnx/Onnx.h"
#include "mlir/IR/Builders.h"

namespace lnn::streaming {

/// Nodes made here are written as this opset has them, whatever the model's.
constexpr int64_t kOpset = 18;

/// A tensor of i64, of rank 1 unless `scalar`.
mlir::Value integers(mlir::OpBuilder &b, mlir::Location loc,
                     llvm::ArrayRef<int64_t> values, bool scalar = false);
mlir::Value node(mlir::OpBuilder &b, mlir::Location loc, llvm::StringRef type,
                 mlir::ValueRange inputs, mlir::Type result,
                 llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
/// The elements of an integer constant.
std::optional<llvm::SmallVector<int64_t>> integersOf(mlir::Value v);
/// A slice of `axis`, from `begin` to `end` (as Slice has them).
mlir::Value slice(mlir::OpBuilder &b, mlir::Location loc, mlir::Value v,
                  int64_t axis, int64_t begin, int64_t end, mlir::Type result);
/// The node's name in the user's model, or "".
llvm::StringRef nameOf(mlir::Operation *op);

} // namespace lnn::streaming
#endif // LNN_STREAMING_EDIT_H
