//===- Describe.cpp - what a model is, as text ----------------------------===//
#include "Commands.h"

#include <cstdio>

namespace lnn::tool {
namespace {

const char *roleName(lnn_role role) {
  switch (role) {
  case LNN_ROLE_INPUT:
    return "input";
  case LNN_ROLE_DT:
    return "dt";
  case LNN_ROLE_STATE:
    return "state";
  case LNN_ROLE_OUTPUT:
    return "output";
  }
  return "?";
}

void describe(const lnn_tensor_info &info, const lnn_tensor_info *pair) {
  std::string shape = "[";
  for (int32_t axis = 0; axis < info.rank; ++axis)
    shape += (axis ? ", " : "") + (info.symbols[axis]
                                       ? info.symbols[axis]
                                       : std::to_string(info.dims[axis]));
  std::printf("  %-20s %-9s %-24s %s", info.name, lnn_dtype_name(info.dtype),
              (shape + "]").c_str(), pair ? "state" : roleName(info.role));
  if (pair)
    std::printf(info.role == LNN_ROLE_STATE ? ", replaced by '%s'"
                                            : ", replaces '%s'",
                pair->name);
  std::printf("\n");
}

} // namespace

void describe(const lnn_model *model) {
  std::printf("model     %s\nproducer  %s\ntarget    %s, %s, %s\nneeds     "
              "%s\nhash      %s\n",
              lnn_model_name(model), lnn_model_producer(model),
              lnn_model_target(model), lnn_model_triple(model),
              lnn_model_cpu(model),
              *lnn_model_features(model) ? lnn_model_features(model)
                                         : "nothing special",
              lnn_model_hash(model));
  std::printf("rows      %s\n", lnn_model_has_rows(model)
                                    ? "independent: threads can share a batch"
                                    : "not known to be independent");
  std::printf("inputs\n");
  for (size_t i = 0; i < lnn_model_input_count(model); ++i) {
    const lnn_tensor_info *info = lnn_model_input(model, i);
    describe(*info,
             info->pair < 0
                 ? nullptr
                 : lnn_model_output(model, static_cast<size_t>(info->pair)));
  }
  std::printf("outputs\n");
  for (size_t i = 0; i < lnn_model_output_count(model); ++i) {
    const lnn_tensor_info *info = lnn_model_output(model, i);
    describe(*info,
             info->pair < 0
                 ? nullptr
                 : lnn_model_input(model, static_cast<size_t>(info->pair)));
  }
}

} // namespace lnn::tool
