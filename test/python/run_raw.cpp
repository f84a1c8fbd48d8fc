//===- run_raw.cpp - run a model once, for a test on another processor ----===//
//
//   run_raw model.so in out
//
// `in` holds of each input, in the model's order, its rank and its sizes as
// int64 and then its elements; `out` gets the elements of all outputs.
//
//===----------------------------------------------------------------------===//
#include "lnn/runtime.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

static void check(lnn_status status) {
  if (status == LNN_OK)
    return;
  std::fprintf(stderr, "%s: %s\n", lnn_status_name(status), lnn_last_error());
  std::exit(1);
}

int main(int argc, char **argv) {
  if (argc != 4)
    return 2;
  lnn_model *model = nullptr;
  check(lnn_model_load_file(argv[1], &model));
  std::ifstream in(argv[2], std::ios::binary);
  size_t count = lnn_model_input_count(model);
  std::vector<std::vector<int64_t>> sizes(count);
  std::vector<std::vector<char>> data(count);
  std::vector<lnn_tensor> inputs, outputs(lnn_model_output_count(model));
  for (size_t i = 0; i < count; ++i) {
    lnn_dtype dtype = lnn_model_input(model, i)->dtype;
    int64_t rank = 0;
    in.read(reinterpret_cast<char *>(&rank), sizeof rank);
    sizes[i].resize(rank);
    in.read(reinterpret_cast<char *>(sizes[i].data()), rank * 8);
    size_t bytes = lnn_dtype_size(dtype);
    for (int64_t size : sizes[i])
      bytes *= size;
    data[i].resize(bytes);
    in.read(data[i].data(), bytes);
    inputs.push_back(
        {data[i].data(), dtype, int32_t(rank), sizes[i].data(), nullptr});
  }
  if (!in)
    return 3;
  check(lnn_run(model, inputs.data(), count, outputs.data(), outputs.size()));
  std::ofstream out(argv[3], std::ios::binary);
  for (lnn_tensor &tensor : outputs) {
    size_t bytes = lnn_dtype_size(tensor.dtype);
    for (int32_t axis = 0; axis < tensor.rank; ++axis)
      bytes *= tensor.dims[axis];
    out.write(static_cast<const char *>(tensor.data), bytes);
    lnn_tensor_free(&tensor);
  }
  lnn_model_free(model);
  return out ? 0 : 4;
}
