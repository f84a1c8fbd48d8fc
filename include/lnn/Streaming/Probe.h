//===- Probe.h - what follows from one size of a model ----------*- C++ -*-===//
#ifndef LNN_STREAMING_PROBE_H
#define LNN_STREAMING_PROBE_H

#include "lnn/Frontend/Onnx/Analysis.h"

namespace lnn::streaming {

/// A dimension of one of a function's arguments.
struct ArgumentDim {
  unsigned argument;
  int64_t axis;
  bool operator==(const ArgumentDim &o) const {
    return argument == o.argument && axis == o.axis;
  }
};

/// What is known of a function's values if some dimensions of its arguments
/// have another size. Errors are kept, not reported.
class Probe {
public:
  Probe(mlir::func::FuncOp function, llvm::ArrayRef<ArgumentDim> dims,
        int64_t size);
  const onnx::ValueInfo &info(mlir::Value value) const {
    return analysis.info(value);
  }
  bool failed() const { return !message.empty(); }
  /// The first error.
  const std::string &why() const { return message; }
  onnx::DimContext &dims() const { return analysis.dims; }

private:
  mutable onnx::Analysis analysis; // dimensions may be made at any time
  std::string message;
};

/// Two probes of the same dimensions, and what differs between them.
class Sensitivity {
public:
  /// Compares `size` with a larger size that no model has by accident.
  Sensitivity(mlir::func::FuncOp function, llvm::ArrayRef<ArgumentDim> dims,
              int64_t size);
  const onnx::ValueInfo &at(mlir::Value v) const { return first.info(v); }
  const onnx::ValueInfo &other(mlir::Value v) const { return second.info(v); }
  int64_t size() const { return firstSize; }
  int64_t otherSize() const { return secondSize; }
  const Probe &firstProbe() const { return first; }
  const Probe &secondProbe() const { return second; }

  /// True where both probes know the value.
  bool knows(mlir::Value v) const {
    return at(v).present() && other(v).present();
  }
  bool varies(mlir::Value v, int64_t axis) const;
  llvm::SmallVector<int64_t> axes(mlir::Value v) const; ///< that vary
  /// True where the value's known contents (sizes) differ.
  bool contentsVary(mlir::Value v) const;
  /// How much longer than the size a dimension is, where that is a constant.
  std::optional<int64_t> excess(mlir::Value v, int64_t axis) const;

private:
  int64_t firstSize, secondSize;
  Probe first, second;
};

} // namespace lnn::streaming
#endif // LNN_STREAMING_PROBE_H
