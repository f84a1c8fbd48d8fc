//===- OpCompose.h - operators written as other operators -------*- C++ -*-===//
//
// Many operators are defined by a small graph of others. Such a definition is
// one function over a Composer: it is run to infer the node, when the graph is
// only typed, and again to expand it, when the graph is expanded.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_FRONTEND_ONNX_OPCOMPOSE_H
#define LNN_LIB_FRONTEND_ONNX_OPCOMPOSE_H

#include "OpHelpers.h"

namespace lnn::onnx {

/// A graph in one node's place. Values are of the onnx-level graph. What
/// follows from a node that could not be inferred is null, and nothing is known
/// of it: a definition that looks into infos asks `ok` first.
class Composer : public NodeView {
public:
  using Values = llvm::SmallVector<mlir::Value>;

  Composer(NodeOp op, DimContext &dims) : NodeView(op), dims(dims) {}
  virtual ~Composer() = default;
  DimContext &dims;

  /// Operand i, or null where it is omitted.
  mlir::Value in(unsigned i) const;
  virtual const ValueInfo &info(mlir::Value value) const = 0;
  const ValueInfo &inInfo(unsigned i) const { return info(in(i)); }
  int64_t rank(mlir::Value value) const { return info(value).rank(); }
  Dim dim(mlir::Value value, int64_t i) const;
  mlir::Type type(mlir::Value value) const { return info(value).elementType; }
  using NodeView::type;
  bool ok() const { return !anyFailed; }

  /// Another node with one result. A null input is an omitted one.
  mlir::Value node(llvm::StringRef type, llvm::ArrayRef<mlir::Value> inputs,
                   llvm::ArrayRef<mlir::NamedAttribute> attrs = {});
  Values nodes(llvm::StringRef type, llvm::ArrayRef<mlir::Value> inputs,
               llvm::ArrayRef<mlir::NamedAttribute> attrs, unsigned results);
  mlir::NamedAttribute attr(llvm::StringRef name, int64_t value);
  mlir::NamedAttribute attr(llvm::StringRef name, double value);
  mlir::NamedAttribute attr(llvm::StringRef name, llvm::StringRef value);
  mlir::NamedAttribute attr(llvm::StringRef name,
                            llvm::ArrayRef<int64_t> value);
  /// This node's attribute of that name for another; nothing where it has none.
  void copyAttr(llvm::StringRef name,
                llvm::SmallVectorImpl<mlir::NamedAttribute> &attrs);

  mlir::Value constant(mlir::DenseElementsAttr value);
  /// A scalar of an ONNX element type.
  mlir::Value number(double value, mlir::Type elementType);
  mlir::Value integers(llvm::ArrayRef<int64_t> values);
  mlir::Value integer(int64_t value); ///< a scalar
  /// A vector of int64 that holds sizes.
  virtual mlir::Value sizes(llvm::ArrayRef<Dim> values) = 0;

  // What definitions are mostly made of.
  mlir::Value add(mlir::Value a, mlir::Value b) { return node("Add", {a, b}); }
  mlir::Value sub(mlir::Value a, mlir::Value b) { return node("Sub", {a, b}); }
  mlir::Value mul(mlir::Value a, mlir::Value b) { return node("Mul", {a, b}); }
  mlir::Value div(mlir::Value a, mlir::Value b) { return node("Div", {a, b}); }
  mlir::Value cast(mlir::Value a, mlir::Type elementType);
  mlir::Value reshape(mlir::Value a, llvm::ArrayRef<Dim> to);
  mlir::Value transpose(mlir::Value a, llvm::ArrayRef<int64_t> perm);
  mlir::Value unsqueeze(mlir::Value a, llvm::ArrayRef<int64_t> axes);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> parts, int64_t axis);
  /// Elements [begin, end) of one axis.
  mlir::Value slice(mlir::Value a, int64_t axis, Dim begin, Dim end);
  mlir::Value reduce(llvm::StringRef type, mlir::Value a,
                     llvm::ArrayRef<int64_t> axes, bool keep = true);
  mlir::Value expand(mlir::Value a, llvm::ArrayRef<Dim> to);

  /// A Scan over one axis of the inputs: the final states, then the outputs
  /// stacked along that axis. In the body nothing is known of values.
  Values scan(llvm::ArrayRef<mlir::Value> states,
              llvm::ArrayRef<mlir::Value> inputs, int64_t axis,
              llvm::function_ref<Values(mlir::ValueRange)> body);

  /// Output i is that value.
  virtual void give(unsigned i, mlir::Value value) = 0;

protected:
  virtual mlir::LogicalResult take(NodeOp node) = 0;
  virtual void know(mlir::Value constant, mlir::DenseElementsAttr value) = 0;
  mlir::OpBuilder builder() const;
  Values enter(NodeOp node);
  ValueInfo infoOf(mlir::DenseElementsAttr value);
  /// Erases what was made, but for values that are still used.
  void erase(llvm::function_ref<void(mlir::Value)> forget);
  llvm::SmallVector<mlir::Operation *> made;
  bool anyFailed = false;
  mlir::Block *body = nullptr; ///< of a Scan that is being built
};

using ComposeFn = mlir::LogicalResult (*)(Composer &);
mlir::LogicalResult inferComposed(InferContext &ctx, ComposeFn fn);
mlir::LogicalResult expandComposed(ExpandContext &ctx, ComposeFn fn);

template <ComposeFn fn> mlir::LogicalResult inferAs(InferContext &ctx) {
  return inferComposed(ctx, fn);
}
template <ComposeFn fn> mlir::LogicalResult expandAs(ExpandContext &ctx) {
  return expandComposed(ctx, fn);
}

/// A row of the table for an operator that is defined by others.
template <ComposeFn fn>
OpEntry composed(llvm::StringRef name, unsigned minInputs, unsigned maxInputs,
                 int64_t since = kFirstOpset, int64_t until = kLastOpset) {
  return entry<inferAs<fn>, expandAs<fn>>(name, minInputs, maxInputs, since,
                                          until);
}

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_OPCOMPOSE_H
