//===- Bench.cpp - how long a call takes ----------------------------------===//
#include "Commands.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

namespace lnn::tool {
namespace {

/// Calls some times to warm up, then `count` times, and prints the
/// distribution.
template <typename Call>
void measure(const char *what, long count, Call &&call) {
  using Clock = std::chrono::steady_clock;
  for (long i = 0; i < std::min<long>(count, 20); ++i)
    call();
  std::vector<double> times(static_cast<size_t>(count));
  for (double &time : times) {
    Clock::time_point start = Clock::now();
    call();
    time =
        std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  }
  std::sort(times.begin(), times.end());
  auto percentile = [&](double part) {
    return times[std::min(
        times.size() - 1,
        static_cast<size_t>(part * static_cast<double>(times.size())))];
  };
  std::printf("%-5s %ld calls, microseconds: median %.3f  p90 %.3f  p99 %.3f  "
              "p99.9 %.3f  min %.3f  max %.3f\n",
              what, count, percentile(0.5), percentile(0.9), percentile(0.99),
              percentile(0.999), times.front(), times.back());
}

struct FreeSession {
  void operator()(lnn_session *session) const { lnn_session_free(session); }
};

/// Steps of a session: the states are carried, the other inputs are the same
/// each time.
void benchSteps(const lnn_model *model, const std::vector<lnn_tensor> &inputs,
                long count) {
  std::vector<lnn_size> sizes;
  std::vector<lnn_tensor> stepInputs;
  size_t outputs = lnn_model_output_count(model);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const lnn_tensor_info *info = lnn_model_input(model, i);
    for (int32_t axis = 0; axis < info->rank; ++axis)
      if (info->symbols[axis])
        sizes.push_back({info->symbols[axis], inputs[i].dims[axis]});
    if (info->role == LNN_ROLE_STATE)
      --outputs;
    else
      stepInputs.push_back(inputs[i]);
  }
  lnn_session *made;
  check(lnn_session_create(model, sizes.data(), sizes.size(), &made));
  std::unique_ptr<lnn_session, FreeSession> session(made);
  std::vector<lnn_tensor> results(outputs);
  measure("step", count, [&] {
    std::fill(results.begin(), results.end(), lnn_tensor{});
    check(lnn_session_step(made, stepInputs.data(), stepInputs.size(),
                           results.data(), results.size()));
  });
}

} // namespace

void bench(const lnn_model *model, std::vector<Array> &inputs, long count,
           bool withEmpty) {
  // What the machine alone does to a call: the clock, and who interrupts it.
  if (withEmpty)
    measure("empty", count, [] {});
  std::vector<Array> results = run(model, inputs);
  std::vector<lnn_tensor> in = tensorsOf(inputs), out = tensorsOf(results);
  // One byte where a result has none: a null pointer would ask for memory.
  char none = 0;
  for (lnn_tensor &tensor : out)
    tensor.data = tensor.data ? tensor.data : &none;
  measure("run", count, [&] {
    check(lnn_run(model, in.data(), in.size(), out.data(), out.size()));
  });
  for (size_t i = 0; i < lnn_model_input_count(model); ++i)
    if (lnn_model_input(model, i)->role == LNN_ROLE_STATE)
      return benchSteps(model, in, count);
}

} // namespace lnn::tool
