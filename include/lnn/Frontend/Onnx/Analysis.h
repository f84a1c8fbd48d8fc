//===- Analysis.h - symbolic types of an onnx-level function ----*- C++ -*-===//
#ifndef LNN_FRONTEND_ONNX_ANALYSIS_H
#define LNN_FRONTEND_ONNX_ANALYSIS_H

#include "lnn/Frontend/Onnx/OpTable.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

namespace lnn::onnx {

/// The domain of the node that stands for what the importer has reported: it is
/// unknown, and nothing more is said of it.
constexpr llvm::StringLiteral kBrokenDomain = "lnn.broken";

/// Infers what is known of every value of a function of onnx.node ops, and
/// writes the types it found to the values.
class Analysis {
public:
  DimContext dims;

  /// Reports everything that is wrong or not supported as errors; fails if
  /// there was any.
  mlir::LogicalResult run(mlir::func::FuncOp function);

  /// What is known of a value; not present() where nothing is.
  const ValueInfo &info(mlir::Value value) const;
  /// The info of a constant of that type and content.
  ValueInfo infoOfConstant(mlir::ElementsAttr attr);
  /// Infers one more node; says what a value is; drops it before it is erased.
  mlir::LogicalResult inferOne(NodeOp node);
  void setInfo(mlir::Value value, ValueInfo info);
  void forget(mlir::Value value);

private:
  friend class InferContextImpl;
  // Infer functions hold on to infos while they infer a body, which adds to the
  // map: each has a place of its own.
  llvm::DenseMap<mlir::Value, std::unique_ptr<ValueInfo>> infos;
  llvm::DenseSet<mlir::Value> unknown; // results of what was not understood
  bool anyFailed = false;
  unsigned missing = 0; // nodes reported as not known
  llvm::StringMap<unsigned>
      beyond; // and those that are only counted, by operator

  void inferBlock(mlir::Block &block);
  void inferNode(NodeOp node);
  void giveUp(NodeOp node);
  const OpEntry *entryOf(NodeOp node);
  mlir::LogicalResult checkInputs(NodeOp node, const OpEntry &entry);
  mlir::LogicalResult checkOutput(NodeOp node, unsigned index,
                                  const ValueInfo &out);
  void reportMissing(NodeOp node, bool known);
  void reportBeyond(mlir::func::FuncOp function);
  mlir::LogicalResult inferBody(mlir::Region &body,
                                llvm::ArrayRef<ValueInfo> arguments,
                                llvm::SmallVectorImpl<ValueInfo> &results);
};

/// The info that an argument's attributes (lnn.dims) and type give; dims named
/// after it where the attributes don't name them.
ValueInfo argumentInfo(mlir::func::FuncOp function, unsigned index,
                       DimContext &dims);

/// What the function's arguments a value depends on are called.
llvm::SmallVector<std::string> dependsOn(mlir::Operation *op);

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_ANALYSIS_H
