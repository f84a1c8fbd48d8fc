//===- ControlFlow.h - what If, Loop and Scan share -------------*- C++ -*-===//
#ifndef LNN_LIB_FRONTEND_ONNX_CONTROLFLOW_H
#define LNN_LIB_FRONTEND_ONNX_CONTROLFLOW_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Frontend/Onnx/OpTable.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"

namespace lnn::onnx {

/// What stays true of a value that a loop carries: its type, not its contents.
inline ValueInfo withoutContents(const ValueInfo &info) {
  ValueInfo result = info;
  result.data.reset();
  result.constant = nullptr;
  return result;
}

inline mlir::Value truncToBool(mlir::OpBuilder &b, mlir::Location loc,
                               mlir::Value i8) {
  mlir::Value zero =
      mlir::arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0));
  return mlir::arith::CmpIOp::create(b, loc, mlir::arith::CmpIPredicate::ne, i8,
                                     zero);
}

/// The one element of a tensor of rank 0, or of rank 1 and size 1.
inline mlir::Value onlyElement(mlir::OpBuilder &b, mlir::Location loc,
                               mlir::Value tensor) {
  llvm::SmallVector<mlir::Value> zeros(
      mlir::cast<mlir::RankedTensorType>(tensor.getType()).getRank(),
      mlir::arith::ConstantIndexOp::create(b, loc, 0));
  return mlir::tensor::ExtractOp::create(b, loc, tensor, zeros);
}

inline mlir::Value castTo(mlir::OpBuilder &b, mlir::Location loc, mlir::Value v,
                          mlir::Type type) {
  return v.getType() == type ? v
                             : mlir::tensor::CastOp::create(b, loc, type, v);
}

/// True where info describes a single element.
inline bool isSingle(const ValueInfo &info) {
  return llvm::all_of(info.dims, [](Dim d) { return d.isConst(1); });
}

inline YieldOp yieldOf(mlir::Region &body) {
  return mlir::cast<YieldOp>(body.front().getTerminator());
}

/// Follows Identity nodes to what they pass on.
inline mlir::Value lookThrough(mlir::Value v) {
  while (auto node = v.getDefiningOp<NodeOp>()) {
    if (node.getOpType() != "Identity" || node.getInputs().size() != 1)
      break;
    v = node.getInputs()[0];
  }
  return v;
}

/// The rows of OpsLoop.cpp.
void addLoopOp(std::vector<OpEntry> &table);

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_CONTROLFLOW_H
