//===- Peaks.h - what this machine can do at most, measured ---------------===//
#ifndef LNN_LIB_RUNTIME_PEAKS_H
#define LNN_LIB_RUNTIME_PEAKS_H

#include <cstddef>

namespace lnn::runtime {

/// Of one core: operations on f32 a second (a fused multiply-add is two), bytes
/// read, or read and written, a second in each level of memory, and the levels'
/// sizes.
struct Peaks {
  double operations, l1, l2, memory;
  size_t l1Bytes, l2Bytes;

  /// Rate in the memory where this many bytes fit.
  double bandwidth(double bytes) const {
    return bytes <= static_cast<double>(l1Bytes)   ? l1
           : bytes <= static_cast<double>(l2Bytes) ? l2
                                                   : memory;
  }
};

/// Measured on the first call of the process, in about 0.2 s.
const Peaks &peaks();

} // namespace lnn::runtime

#endif
