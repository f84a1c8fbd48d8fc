//===- run.cpp - load a compiled model and run it once, in C++ ------------===//
//
//   c++ -std=c++17 run.cpp -o run -llnn_runtime && ./run model.so
//
// Inputs are zeros; dynamic dimensions get the size 2.
//
//===----------------------------------------------------------------------===//
#include "lnn/runtime.h"

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

void check(lnn_status status) {
  if (status != LNN_OK)
    throw std::runtime_error(std::string(lnn_status_name(status)) + ": " +
                             lnn_last_error());
}

struct FreeModel {
  void operator()(lnn_model *model) const { lnn_model_free(model); }
};
using Model = std::unique_ptr<lnn_model, FreeModel>;

Model load(const char *path) {
  lnn_model *model = nullptr;
  check(lnn_model_load_file(path, &model));
  return Model(model);
}

/// Memory of an input and the sizes that describe it.
struct Input {
  std::vector<int64_t> dims;
  std::vector<char> data;
  explicit Input(const lnn_tensor_info &info) {
    size_t bytes = lnn_dtype_size(info.dtype);
    for (int32_t axis = 0; axis < info.rank; ++axis) {
      dims.push_back(info.dims[axis] < 0 ? 2 : info.dims[axis]);
      bytes *= static_cast<size_t>(dims.back());
    }
    data.resize(bytes);
    // Steps of time must not be zero.
    if (info.role == LNN_ROLE_DT && info.dtype == LNN_F32)
      for (size_t i = 0; i < bytes / sizeof(float); ++i)
        reinterpret_cast<float *>(data.data())[i] = 1.0f;
  }
};

/// Results that the runtime allocated.
struct Outputs {
  std::vector<lnn_tensor> tensors;
  explicit Outputs(size_t count) : tensors(count) {}
  ~Outputs() {
    for (lnn_tensor &tensor : tensors)
      lnn_tensor_free(&tensor);
  }
};

void runOnce(const lnn_model *model) {
  std::vector<Input> memory;
  std::vector<lnn_tensor> inputs;
  memory.reserve(lnn_model_input_count(model));
  for (size_t i = 0; i < lnn_model_input_count(model); ++i) {
    const lnn_tensor_info &info = *lnn_model_input(model, i);
    Input &input = memory.emplace_back(info);
    inputs.push_back(
        {input.data.data(), info.dtype, info.rank, input.dims.data(), nullptr});
  }
  Outputs outputs(lnn_model_output_count(model));
  check(lnn_run(model, inputs.data(), inputs.size(), outputs.tensors.data(),
                outputs.tensors.size()));
  for (size_t j = 0; j < outputs.tensors.size(); ++j) {
    const lnn_tensor &tensor = outputs.tensors[j];
    std::printf("%s %s [", lnn_model_output(model, j)->name,
                lnn_dtype_name(tensor.dtype));
    for (int32_t axis = 0; axis < tensor.rank; ++axis)
      std::printf("%s%lld", axis ? ", " : "",
                  static_cast<long long>(tensor.dims[axis]));
    std::printf("]\n");
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: run model.so\n");
    return 2;
  }
  try {
    runOnce(load(argv[1]).get());
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
