//===- Npz.h - NumPy's files of arrays ------------------------------------===//
#ifndef LNN_TOOLS_LNN_RUN_NPZ_H
#define LNN_TOOLS_LNN_RUN_NPZ_H

#include "Zip.h"
#include "lnn/runtime.h"

#include <cstdint>
#include <map>

namespace lnn::tool {

/// A dense row-major array.
struct Array {
  lnn_dtype dtype = LNN_F32;
  std::vector<int64_t> dims;
  Bytes bytes;

  size_t count() const { return bytes.size() / lnn_dtype_size(dtype); }
  /// The element as a float64; integers beyond 2^53 are rounded.
  double value(size_t index) const;
  std::string shape() const;
  lnn_tensor tensor() {
    return {bytes.data(), dtype, static_cast<int32_t>(dims.size()), dims.data(),
            nullptr};
  }
};

using Arrays = std::map<std::string, Array>;

/// Reads an .npz file, compressed or not. Void of two bytes (V2), as which
/// NumPy writes bfloat16, is bfloat16. Throws std::runtime_error where the file
/// is not what it should be.
Arrays readNpz(const std::string &path);
void writeNpz(const std::string &path,
              const std::vector<std::pair<std::string, Array>> &arrays);

} // namespace lnn::tool

#endif
