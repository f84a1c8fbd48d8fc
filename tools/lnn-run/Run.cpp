//===- Run.cpp - arrays in, arrays out ------------------------------------===//
#include "Commands.h"

#include <cstring>
#include <random>

namespace lnn::tool {

void check(lnn_status status) {
  switch (status) {
  case LNN_OK:
    return;
  case LNN_ERR_LOAD:
  case LNN_ERR_VERSION:
  case LNN_ERR_CPU:
    throw ToolError{CannotLoad, lnn_last_error()};
  case LNN_ERR_INPUT:
  case LNN_ERR_USAGE:
    throw ToolError{BadInput, lnn_last_error()};
  case LNN_ERR_RUN:
  case LNN_ERR_MEMORY:
    break;
  }
  throw ToolError{RunFailed, lnn_last_error()};
}

std::vector<Array> pickInputs(const lnn_model *model, const Arrays &arrays,
                              const std::string &prefix) {
  std::vector<Array> inputs;
  for (size_t i = 0; i < lnn_model_input_count(model); ++i) {
    const lnn_tensor_info *info = lnn_model_input(model, i);
    auto found = arrays.find(prefix + info->name);
    if (found == arrays.end())
      throw ToolError{BadInput, "the file has no array '" + prefix +
                                    info->name + "' for input '" + info->name +
                                    "'"};
    inputs.push_back(found->second);
    // NumPy has no bfloat16 of its own: its bits may come as uint16.
    if (info->dtype == LNN_BF16 && inputs.back().dtype == LNN_U16)
      inputs.back().dtype = LNN_BF16;
  }
  for (const auto &[name, array] : arrays)
    if (name.compare(0, prefix.size(), prefix) == 0 &&
        lnn_model_find_input(model, name.c_str() + prefix.size()) < 0)
      throw ToolError{BadInput, "the model has no input '" +
                                    name.substr(prefix.size()) + "' (array '" +
                                    name + "')"};
  return inputs;
}

std::vector<Array> randomInputs(const lnn_model *model,
                                const Options &options) {
  std::vector<Array> inputs;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(
      0.05f, 1.0f); // time steps among them: positive
  for (size_t i = 0; i < lnn_model_input_count(model); ++i) {
    const lnn_tensor_info *info = lnn_model_input(model, i);
    Array array;
    array.dtype = info->dtype;
    size_t bytes = lnn_dtype_size(info->dtype);
    for (int32_t axis = 0; axis < info->rank; ++axis) {
      int64_t dim = info->dims[axis] < 0 ? 1 : info->dims[axis];
      for (const auto &[name, size] : options.sizes)
        if (info->symbols[axis] && name == info->symbols[axis])
          dim = size;
      array.dims.push_back(dim);
      if (__builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes) ||
          bytes > size_t(1) << 40)
        throw ToolError{BadInput, "input '" + std::string(info->name) +
                                      "' would be too large"};
    }
    array.bytes.resize(bytes);
    for (size_t at = 0; at < bytes && info->dtype == LNN_F32;
         at += sizeof(float)) {
      float value = uniform(random);
      std::memcpy(array.bytes.data() + at, &value, sizeof value);
    }
    inputs.push_back(std::move(array));
  }
  return inputs;
}

std::vector<lnn_tensor> tensorsOf(std::vector<Array> &arrays) {
  std::vector<lnn_tensor> tensors;
  for (Array &array : arrays)
    tensors.push_back(array.tensor());
  return tensors;
}

std::vector<Array> run(const lnn_model *model, std::vector<Array> &inputs) {
  std::vector<lnn_tensor> in = tensorsOf(inputs),
                          out(lnn_model_output_count(model));
  check(lnn_run(model, in.data(), in.size(), out.data(), out.size()));
  std::vector<Array> results;
  for (lnn_tensor &tensor : out) {
    Array &array = results.emplace_back();
    array.dtype = tensor.dtype;
    size_t bytes = lnn_dtype_size(tensor.dtype);
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      array.dims.push_back(tensor.dims[axis]);
      bytes *= static_cast<size_t>(tensor.dims[axis]);
    }
    const char *data = static_cast<const char *>(tensor.data);
    array.bytes.assign(data, data + bytes);
    lnn_tensor_free(&tensor);
  }
  return results;
}

} // namespace lnn::tool
