//===- Locality.h - what may be computed piece by piece ----------*- C++
//-*-===//
#ifndef LNN_LIB_STREAMING_LOCALITY_H
#define LNN_LIB_STREAMING_LOCALITY_H

#include "lnn/Streaming/Probe.h"

namespace lnn::streaming {

/// What has to be carried from piece to piece.
struct Exposure {
  /// Initial: operand `operand` of a Scan or Loop, whose last value is its
  /// result. Recurrent: the same of GRU, LSTM or RNN. Padding: what stands in
  /// front of the piece along `axis`, `length` elements.
  enum Kind { Initial, Recurrent, Padding } kind;
  onnx::NodeOp node;
  unsigned operand = 0;
  int64_t axis = 0, length = 0;
};

/// Walks a function's nodes along the time axis. Each must give the same for a
/// piece of the sequence as for the whole; what looks back is collected.
class Locality {
public:
  Locality(mlir::func::FuncOp function, const Sensitivity &s)
      : function(function), s(s) {}
  /// Reports the nodes that stand in the way.
  mlir::LogicalResult run();
  llvm::SmallVector<Exposure> exposures;

private:
  mlir::func::FuncOp function;
  const Sensitivity &s;
  /// How many elements behind the newest the varying axis of a value has: a
  /// padding that is cut off later.
  llvm::DenseMap<mlir::Value, int64_t> ahead;
  bool nested = false; // in a subgraph

  mlir::LogicalResult visitBlock(mlir::Block &block);
  mlir::LogicalResult visit(onnx::NodeOp node);
  mlir::LogicalResult visitNodeAlongTime(onnx::NodeOp node);
  mlir::LogicalResult local(onnx::NodeOp node, llvm::ArrayRef<int64_t> mixed,
                            unsigned input = 0);
  mlir::LogicalResult visitReshape(onnx::NodeOp node);
  mlir::LogicalResult visitMatMul(onnx::NodeOp node);
  mlir::LogicalResult visitGemm(onnx::NodeOp node);
  mlir::LogicalResult visitEinsum(onnx::NodeOp node);
  mlir::LogicalResult visitGather(onnx::NodeOp node);
  std::optional<int64_t> position(mlir::Value list, unsigned k,
                                  mlir::Value data, int64_t axis);
  mlir::LogicalResult visitSlice(onnx::NodeOp node);
  mlir::LogicalResult visitConcat(onnx::NodeOp node);
  mlir::LogicalResult visitPad(onnx::NodeOp node);
  mlir::LogicalResult visitConv(onnx::NodeOp node);
  mlir::LogicalResult visitScan(onnx::NodeOp node);
  mlir::LogicalResult visitLoop(onnx::NodeOp node);
  mlir::LogicalResult visitTimeLoop(onnx::NodeOp node);
  mlir::LogicalResult visitRecurrent(onnx::NodeOp node);
  mlir::LogicalResult visitBodies(onnx::NodeOp node);
  mlir::LogicalResult visitNormalization(onnx::NodeOp node);
  mlir::LogicalResult visitReduction(onnx::NodeOp node);

  mlir::LogicalResult refuse(onnx::NodeOp node, const llvm::Twine &why);
  mlir::LogicalResult refuseBackward();
  mlir::LogicalResult finish();
  mlir::LogicalResult passOn(onnx::NodeOp node);
  mlir::LogicalResult lookBack(onnx::NodeOp node, int64_t axis, int64_t length);
  mlir::LogicalResult expose(Exposure exposure, mlir::Value init,
                             llvm::StringRef what);
  bool bodyReadsSequence(onnx::NodeOp node, onnx::NodeOp &reader);
  bool isAlongTime(mlir::Value v) const {
    return !s.axes(v).empty() || s.contentsVary(v);
  }
  /// The one axis along time, its elements in front of the piece and behind it;
  /// none where the value has no such axis or a merged one.
  struct Window {
    int64_t axis, behind, ahead;
  };
  std::optional<Window> windowOf(mlir::Value v) const;
};

/// True where all elements are known to be zero.
bool isZeros(mlir::Value v, unsigned depth = 0);

} // namespace lnn::streaming
#endif // LNN_LIB_STREAMING_LOCALITY_H
