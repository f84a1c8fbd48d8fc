//===- Profile.cpp - what a call's time goes into -------------------------===//
#include "Commands.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace lnn::tool {
namespace {
struct FreeProfile {
  void operator()(lnn_profile *profile) const { lnn_profile_free(profile); }
};
using ProfilePtr = std::unique_ptr<lnn_profile, FreeProfile>;

ProfilePtr create(const lnn_model *model) {
  lnn_profile *made;
  check(lnn_profile_create(model, &made));
  return ProfilePtr(made);
}
} // namespace

void profile(const lnn_model *model, std::vector<Array> &inputs, long count,
             const std::string &format) {
  ProfilePtr warmUp = create(model), measured = create(model);
  std::vector<Array> results = run(model, inputs);
  std::vector<lnn_tensor> in = tensorsOf(inputs), out = tensorsOf(results);
  // One byte where a result has none: a null pointer would ask for memory.
  char none = 0;
  for (lnn_tensor &tensor : out)
    tensor.data = tensor.data ? tensor.data : &none;
  for (long i = -std::min<long>(count, 20); i < count; ++i)
    check(lnn_profile_run(i < 0 ? warmUp.get() : measured.get(), in.data(),
                          in.size(), out.data(), out.size()));
  const char *report;
  check(lnn_profile_report(measured.get(), format.c_str(), &report));
  std::fputs(report, stdout);
}

} // namespace lnn::tool
