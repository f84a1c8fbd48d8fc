//===- kernels.cpp - what a call and a step cost from C -------------------===//
//
//   kernels [--benchmark_...] MODEL.so ...
//
// Times, with Google Benchmark, calls of compiled models through the runtime's
// C interface, and steps of sessions where they have states, on random inputs;
// sizes that vary are 1. A model that does next to nothing (empty.mlir) shows
// what the interface itself costs.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <memory>

using namespace lnn::tool;

namespace {

struct Free {
  void operator()(lnn_model *model) const { lnn_model_free(model); }
  void operator()(lnn_session *session) const { lnn_session_free(session); }
};
using ModelPtr = std::unique_ptr<lnn_model, Free>;
using SessionPtr = std::unique_ptr<lnn_session, Free>;

/// A call with outputs in memory of the caller.
void timeRun(benchmark::State &state, const lnn_model *model) {
  std::vector<Array> inputs = randomInputs(model, Options());
  std::vector<Array> results = run(model, inputs);
  std::vector<lnn_tensor> in = tensorsOf(inputs), out = tensorsOf(results);
  for (auto _ : state)
    check(lnn_run(model, in.data(), in.size(), out.data(), out.size()));
}

/// A step with outputs in the session's memory.
void timeStep(benchmark::State &state, const lnn_model *model) {
  std::vector<Array> inputs = randomInputs(model, Options());
  std::vector<lnn_tensor> all = tensorsOf(inputs), in;
  std::vector<lnn_size> sizes;
  size_t outputs = lnn_model_output_count(model);
  for (size_t i = 0; i < all.size(); ++i) {
    const lnn_tensor_info *info = lnn_model_input(model, i);
    for (int32_t axis = 0; axis < info->rank; ++axis)
      if (info->symbols[axis])
        sizes.push_back({info->symbols[axis], all[i].dims[axis]});
    if (info->role == LNN_ROLE_STATE)
      --outputs;
    else
      in.push_back(all[i]);
  }
  lnn_session *made;
  check(lnn_session_create(model, sizes.data(), sizes.size(), &made));
  SessionPtr session(made);
  std::vector<lnn_tensor> out(outputs);
  for (auto _ : state) {
    std::fill(out.begin(), out.end(), lnn_tensor{});
    check(lnn_session_step(made, in.data(), in.size(), out.data(), out.size()));
  }
}

bool hasStates(const lnn_model *model) {
  for (size_t i = 0; i < lnn_model_input_count(model); ++i)
    if (lnn_model_input(model, i)->role == LNN_ROLE_STATE)
      return true;
  return false;
}

void add(const char *path, std::vector<ModelPtr> &models) {
  lnn_model *model;
  check(lnn_model_load_file(path, &model));
  models.emplace_back(model);
  std::string name = lnn_model_name(model);
  benchmark::RegisterBenchmark(("run/" + name).c_str(), timeRun, model);
  if (hasStates(model))
    benchmark::RegisterBenchmark(("step/" + name).c_str(), timeStep, model);
}

} // namespace

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  std::vector<ModelPtr> models;
  try {
    if (argc < 2)
      throw ToolError{Usage, "give compiled models"};
    for (int i = 1; i < argc; ++i)
      add(argv[i], models);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const ToolError &error) {
    std::fprintf(stderr, "kernels: error: %s\n", error.message.c_str());
    return error.code;
  }
  return Ok;
}
