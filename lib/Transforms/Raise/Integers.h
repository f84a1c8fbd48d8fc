//===- Integers.h - integer constants of an ONNX graph ----------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_INTEGERS_H
#define LNN_LIB_TRANSFORMS_RAISE_INTEGERS_H

#include "lnn/Dialect/Onnx/Onnx.h"

#include <memory>
#include <vector>

namespace lnn::raise {

/// A tensor of integers, or of booleans as 0 and 1.
struct Integers {
  llvm::SmallVector<int64_t> shape;
  std::vector<int64_t> elements;

  int64_t size() const { return elements.size(); }
};

/// Computes what a graph computes of constants and sizes: indices, mostly.
class IntegerConstants {
public:
  /// The value's elements; null where they are not known.
  const Integers *of(mlir::Value value);

private:
  llvm::DenseMap<mlir::Value, std::unique_ptr<Integers>> known;
  unsigned depth = 0;
  std::unique_ptr<Integers> compute(mlir::Value value);
  std::unique_ptr<Integers> computeNode(onnx::NodeOp node);
};

/// An integer attribute of a node.
int64_t integerAttribute(onnx::NodeOp node, llvm::StringRef name,
                         int64_t otherwise);

/// A Slice along known axes: one entry for each dimension of the input.
struct SliceRange {
  int64_t start, step, count;
};
std::optional<llvm::SmallVector<SliceRange>>
sliceOf(onnx::NodeOp node, llvm::ArrayRef<int64_t> shape,
        IntegerConstants &constants);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_INTEGERS_H
