//===- Frozen.h - values that inputs always have ----------------*- C++ -*-===//
#ifndef LNN_FRONTEND_ONNX_FROZEN_H
#define LNN_FRONTEND_ONNX_FROZEN_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace lnn::onnx {

/// An input that is no argument of the compiled model: its value is given once
/// and for all, and converted to the input's element type when that is known.
struct FrozenInput {
  std::string name;
  /// Of the values, row by row; without dimensions, one value for all elements.
  std::vector<int64_t> shape;
  std::variant<std::vector<int64_t>, std::vector<double>> values;
};

/// Reads `name=value`: a number, true or false, or such in brackets, as
/// [[1, 2], [3, 4]].
llvm::Expected<FrozenInput> parseFrozenInput(llvm::StringRef text);

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_FROZEN_H
