//===- Peaks.cpp - what this machine can do at most, measured -------------===//
//
// Loops of nothing but fused multiply-adds, loads, or loads and stores, over
// vectors as wide as the processor has. The best of several tries counts: a
// peak is what disturbances only lower.
//
//===----------------------------------------------------------------------===//
#include "Peaks.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <unistd.h>
#include <vector>

namespace lnn::runtime {
namespace {

#define LNN_WIDTH(count)                                                       \
  struct Width##count {                                                        \
    typedef float Vector                                                       \
        __attribute__((vector_size(count * sizeof(float)), aligned(4)));       \
    static constexpr int lanes = count;                                        \
  }
LNN_WIDTH(4);
LNN_WIDTH(8);
LNN_WIDTH(16);

/// The loops for vectors of some width, inlined into functions that may use
/// such. Sums of floats are what is written: no compiler shortens them.
template <typename Width> struct Loops {
  using Vector = typename Width::Vector;
  static constexpr int lanes = Width::lanes;

  /// Operations done.
  __attribute__((always_inline)) static inline double multiply(float *sink) {
    constexpr int chains = 10; // hides the latency of 4 at 2 a cycle
    constexpr int rounds = 20000;
    Vector sums[chains] = {}, factor = {}, term = {};
    factor += 0.999f;
    term += *sink;
    for (int round = 0; round < rounds; ++round)
#pragma GCC unroll 10
      for (int i = 0; i < chains; ++i)
        sums[i] = sums[i] * factor + term;
    for (int i = 1; i < chains; ++i)
      sums[0] += sums[i];
    *sink = sums[0][0];
    return 2.0 * lanes * chains * rounds;
  }

  /// Bytes read.
  __attribute__((always_inline)) static inline double
  read(const float *data, size_t count, float *sink) {
    constexpr size_t chains = 10;
    Vector sums[chains] = {};
    size_t step = chains * lanes, done = 0;
    size_t rounds = std::max<size_t>(1, (size_t(1) << 19) / count);
    for (size_t round = 0; round < rounds; ++round)
      for (size_t at = 0; at + step <= count; at += step, done += step)
#pragma GCC unroll 10
        for (size_t i = 0; i < chains; ++i)
          sums[i] += *reinterpret_cast<const Vector *>(data + at + i * lanes);
    for (size_t i = 1; i < chains; ++i)
      sums[0] += sums[i];
    *sink = sums[0][0];
    return static_cast<double>(done) * sizeof(float);
  }

  /// Bytes read and written, from one half to the other.
  __attribute__((always_inline)) static inline double copy(float *data,
                                                           size_t count) {
    constexpr size_t together = 4;
    size_t half = count / 2, step = together * lanes, done = 0;
    size_t rounds = std::max<size_t>(1, (size_t(1) << 18) / half);
    for (size_t round = 0; round < rounds; ++round)
      for (size_t at = 0; at + step <= half; at += step, done += step)
#pragma GCC unroll 4
        for (size_t i = 0; i < together; ++i)
          *reinterpret_cast<Vector *>(data + half + at + i * lanes) =
              *reinterpret_cast<const Vector *>(data + at + i * lanes) + 1.0f;
    return 2.0 * static_cast<double>(done) * sizeof(float);
  }
};

struct Functions {
  double (*multiply)(float *sink);
  double (*read)(const float *data, size_t count, float *sink);
  double (*copy)(float *data, size_t count);
};

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double multiply16(float *sink) {
  return Loops<Width16>::multiply(sink);
}
__attribute__((target("avx512f"))) double read16(const float *data, size_t n,
                                                 float *sink) {
  return Loops<Width16>::read(data, n, sink);
}
__attribute__((target("avx512f"))) double copy16(float *data, size_t n) {
  return Loops<Width16>::copy(data, n);
}
__attribute__((target("avx2,fma"))) double multiply8(float *sink) {
  return Loops<Width8>::multiply(sink);
}
__attribute__((target("avx2,fma"))) double read8(const float *data, size_t n,
                                                 float *sink) {
  return Loops<Width8>::read(data, n, sink);
}
__attribute__((target("avx2,fma"))) double copy8(float *data, size_t n) {
  return Loops<Width8>::copy(data, n);
}
#endif
double multiply4(float *sink) { return Loops<Width4>::multiply(sink); }
double read4(const float *data, size_t n, float *sink) {
  return Loops<Width4>::read(data, n, sink);
}
double copy4(float *data, size_t n) { return Loops<Width4>::copy(data, n); }

Functions widest() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f"))
    return {multiply16, read16, copy16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {multiply8, read8, copy8};
#endif
  return {multiply4, read4, copy4};
}

/// The best rate (work a second) of tries over 20 ms, at least three.
template <typename Work> double best(Work &&work) {
  using Clock = std::chrono::steady_clock;
  auto seconds = [](Clock::time_point since) {
    return std::chrono::duration<double>(Clock::now() - since).count();
  };
  double rate = 0;
  Clock::time_point first = Clock::now();
  for (int tries = 0; tries < 3 || seconds(first) < 0.02; ++tries) {
    Clock::time_point begin = Clock::now();
    double done = work();
    rate = std::max(rate, done / std::max(seconds(begin), 1e-9));
  }
  return rate;
}

size_t cacheSize(int name, size_t otherwise) {
  long size = ::sysconf(name);
  return size > 0 ? static_cast<size_t>(size) : otherwise;
}

Peaks measure() {
  Functions run = widest();
  Peaks peaks = {};
  peaks.l1Bytes = cacheSize(_SC_LEVEL1_DCACHE_SIZE, 32 << 10);
  peaks.l2Bytes = cacheSize(_SC_LEVEL2_CACHE_SIZE, 512 << 10);
  constexpr size_t largest = 64 << 20; // beyond most last-level caches' share
  std::vector<float> data(largest / sizeof(float), 1e-6f);
  float sink = 1e-3f;
  auto move = [&](size_t bytes) {
    size_t count = bytes / sizeof(float);
    double reading = best([&] { return run.read(data.data(), count, &sink); });
    return std::max(reading,
                    best([&] { return run.copy(data.data(), count); }));
  };
  peaks.operations = best([&] { return run.multiply(&sink); });
  peaks.l1 = move(peaks.l1Bytes / 2);
  peaks.l2 = move(std::max(peaks.l2Bytes / 2, 2 * peaks.l1Bytes));
  peaks.memory = move(largest);
  return peaks;
}

} // namespace

const Peaks &peaks() {
  static const Peaks measured = measure();
  return measured;
}

} // namespace lnn::runtime
