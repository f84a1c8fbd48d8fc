//===- Thaw.h - constants that a size was folded to --------------*- C++
//-*-===//
#ifndef LNN_LIB_STREAMING_THAW_H
#define LNN_LIB_STREAMING_THAW_H

#include "lnn/Streaming/Probe.h"

namespace lnn::streaming {

/// One node, and what it does where a size is another.
class Thaw {
public:
  Thaw(onnx::NodeOp node, const Sensitivity &s)
      : node(node), view(node), s(s), b(node) {}
  /// Why the node fixes the size; "" where it does not.
  std::string fault();
  /// Rewrites constants of the node so that they follow the size. False where
  /// that cannot be told.
  bool run();

private:
  onnx::NodeOp node;
  onnx::NodeView view;
  const Sensitivity &s;
  mlir::OpBuilder b;

  mlir::Value in(unsigned i) { return node.getInputs()[i]; }
  bool is(llvm::StringRef type) {
    return !node.getDomainAttr() && node.getOpType() == type;
  }
  bool isRecurrentOp() { return is("GRU") || is("LSTM") || is("RNN"); }
  std::optional<llvm::SmallVector<int64_t>> axesOf(unsigned input,
                                                   int64_t rank);
  std::optional<int64_t> bound(mlir::Value data, int64_t axis, int64_t literal,
                               bool isEnd, bool isIndex = false);
  std::string wrongBound(mlir::Value data, int64_t axis);
  bool isReadOneByOne(mlir::Value data, int64_t axis);
  std::string sliceFault(), gatherFault(), scanFault(), reshapeFault(),
      loopFault(), lengthsFault();
  std::string fixedOperand();
  std::optional<int64_t> placeInReshape();
  bool losesSize();
  bool thawReshape(), thawExpand(), thawSlice(), thawGather(), thawLoop(),
      thawLengths(), thawElementwise();
  mlir::Value narrow(mlir::Value v, int64_t axis);
};

/// A value from outside, and its axis that varies, which the body of a Loop
/// reads at a place that it computes.
std::optional<std::pair<mlir::Value, int64_t>>
indexedInLoop(onnx::NodeOp loop, const Sensitivity &s);

/// True for operators that compute each element from one of each operand, with
/// broadcasting.
bool isElementwise(onnx::NodeOp node);

} // namespace lnn::streaming
#endif // LNN_LIB_STREAMING_THAW_H
