//===- Analysis.h - symbolic types of an onnx-level function ----*- C++ -*-===//
#ifndef LNN_FRONTEND_ONNX_ANALYSIS_H
#define LNN_FRONTEND_ONNX_ANALYSIS_H

#include "lnn/Frontend/Onnx/OpTable.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

namespace lnn::onnx {

/// Infers what is known of every value of a function of onnx.node ops, and writes the types it found to the values.
class Analysis {
public:
  DimContext dims;

  /// Reports everything that is wrong or not supported as errors; fails if there was any.
  mlir::LogicalResult run(mlir::func::FuncOp function);

  /// What is known of a value; not present() where nothing is.
  const ValueInfo &info(mlir::Value value) const;
  /// The info of a constant of that type and content.
  ValueInfo infoOfConstant(mlir::ElementsAttr attr);

private:
  friend class InferContextImpl;
  llvm::DenseMap<mlir::Value, ValueInfo> infos;
  llvm::DenseSet<mlir::Value> unknown; // results of what was not understood
  bool anyFailed = false;

  void inferBlock(mlir::Block &block);
  void inferNode(NodeOp node);
  mlir::LogicalResult inferBody(mlir::Region &body, llvm::ArrayRef<ValueInfo> arguments,
                                llvm::SmallVectorImpl<ValueInfo> &results);
};

/// The info that an argument's attributes (lnn.dims) and type give; dims named after it where the attributes don't name them.
ValueInfo argumentInfo(mlir::func::FuncOp function, unsigned index, DimContext &dims);

/// What the function's arguments a value depends on are called.
llvm::SmallVector<std::string> dependsOn(mlir::Operation *op);

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_ANALYSIS_H
