//===- Window.h - a scan's state that is the last samples -------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_WINDOW_H
#define LNN_LIB_TRANSFORMS_RAISE_WINDOW_H

#include "Cells.h"

#include "lnn/Dialect/Lnn/Lnn.h"

namespace lnn::raise {

/// A scan's state that a step shifts by one along a dimension, and of which,
/// before or behind that, nothing is read but sums of products along it: a
/// causal convolution of each channel, step by step.
class Window {
public:
  Window(ScanOp scan, unsigned index, const Report &report)
      : scan(scan), index(index), report(report),
        yield(cast<YieldOp>(scan.getBody().front().getTerminator())),
        state(scan.getStates()[index]), next(yield.getStates()[index]),
        type(llvm::dyn_cast<mlir::RankedTensorType>(state.getType())),
        notation(scan.getContext()) {}
  /// Channels side by side. The scan that takes the scan's place, or null.
  ScanOp turn();
  /// A convolution of all samples in front of the scan, where they are known
  /// there. The scan that takes the scan's place, or null.
  ScanOp hoist();
  bool findWindow();

private:
  ScanOp scan;
  unsigned index;
  const Report &report;
  YieldOp yield;
  mlir::Value state, next;
  mlir::RankedTensorType type;
  Notation notation;
  int64_t along = -1; ///< which the samples lie
  mlir::Value window; ///< the state, or all of it but the oldest, and a sample
  mlir::Value sample; ///< of size 1 along it
  bool keepsOldest = false; ///< the state is shorter than the window
  /// sum_k window[.., c, .., k, ..] weight[c, k]
  struct Sum {
    mlir::Value value;
    F read, weight;
    unsigned tap; ///< variable
    Indices own;
    int64_t channel = 0; ///< dimension of the window
  };
  llvm::SmallVector<Sum> sums;

  int64_t rank() const { return type.getRank(); }
  int64_t taps() const {
    return cast<mlir::RankedTensorType>(window.getType()).getDimSize(along);
  }
  bool isShift(mlir::Value of, mlir::Value from);
  bool isWindow(mlir::Value value) const {
    return value == window || (value == state && !keepsOldest);
  }
  bool findSum(mlir::Operation *user);
  bool findSums();
  void eraseOld();
  // TurnWindow.cpp
  llvm::SmallVector<mlir::AffineExpr>
  turned(llvm::ArrayRef<mlir::AffineExpr> indices) const {
    llvm::SmallVector<mlir::AffineExpr> result(indices);
    std::swap(result[rank() - 2], result[rank() - 1]);
    return result;
  }
  mlir::Value turned(mlir::Operation *before, mlir::Value value);
  mlir::Value sumOf(mlir::OpBuilder &b, const Sum &sum, mlir::Value window,
                    mlir::Value weight);
  // HoistWindow.cpp
  mlir::Value samplesOverTime(llvm::ArrayRef<mlir::AffineExpr> indices,
                              llvm::ArrayRef<mlir::OpFoldResult> sizes);
  llvm::SmallVector<int64_t> order(int64_t channel) const;
  mlir::Value lastOf(mlir::OpBuilder &b, mlir::Value first, mlir::Value samples,
                     int64_t time);
  ScanOp rebuild(llvm::ArrayRef<mlir::Value> inputs, int64_t dim,
                 mlir::Value last);
};

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_WINDOW_H
