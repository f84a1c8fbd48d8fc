//===- Profile.h - what a model's regions took ----------------------------===//
#ifndef LNN_LIB_RUNTIME_PROFILE_H
#define LNN_LIB_RUNTIME_PROFILE_H

#include "Model.h"

#include <string>
#include <vector>

struct lnn_profile {
  explicit lnn_profile(const lnn_model *model);
  ~lnn_profile() { model->release(); }
  lnn_profile(const lnn_profile &) = delete;
  lnn_profile &operator=(const lnn_profile &) = delete;

  void run(const lnn_tensor *inputs, size_t n_inputs, lnn_tensor *outputs,
           size_t n_outputs);
  std::vector<lnn_region> regions() const;

  const lnn_model *model;
  int64_t runs = 0, calls = 0; ///< all, and those that count
  double seconds = 0;
  std::string report;

private:
  double secondsOf(int64_t ticks) const;
  bool accept(int64_t taken);

  std::vector<lnn_abi_figures> figures, latest;
  std::vector<lnn_abi_figures> work; ///< of the first run
  bool sameWork = true;              ///< in all runs so far
  int64_t fastest = 0;
  int64_t ticks = 0; ///< of all calls, by the regions' clock
};

namespace lnn::runtime {
std::string textReport(const lnn_profile &profile);
std::string svgReport(const lnn_profile &profile);
} // namespace lnn::runtime

#endif
