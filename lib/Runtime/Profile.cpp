//===- Profile.cpp - what a model's regions took --------------------------===//
#include "Profile.h"

#include "Call.h"
#include "Error.h"
#include "Peaks.h"

#include <algorithm>
#include <chrono>
#include <cstring>

using namespace lnn::runtime;

namespace {

/// The clock that generated code reads.
int64_t readClock() {
#if defined(__x86_64__)
  return static_cast<int64_t>(__builtin_ia32_rdtsc());
#elif defined(__aarch64__)
  int64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return std::chrono::steady_clock::now().time_since_epoch().count();
#endif
}

} // namespace

lnn_profile::lnn_profile(const lnn_model *model)
    : model(model), figures(model->profile->n_regions),
      latest(model->profile->n_regions) {
  model->retain();
}

/// A call that fails leaves the profile as it was.
void lnn_profile::run(const lnn_tensor *inputs, size_t n_inputs,
                      lnn_tensor *outputs, size_t n_outputs) {
  using Clock = std::chrono::steady_clock;
  std::fill(latest.begin(), latest.end(), lnn_abi_figures{});
  Clock::time_point begin = Clock::now();
  int64_t first = readClock();
  runOnce(model, inputs, n_inputs, outputs, n_outputs, latest.data());
  int64_t taken = readClock() - first;
  double time = std::chrono::duration<double>(Clock::now() - begin).count();
  ++runs;
  if (!accept(taken))
    return;
  ticks += taken;
  seconds += time;
  ++calls;
  for (size_t i = 0; i < figures.size(); ++i) {
    figures[i].entries += latest[i].entries;
    figures[i].ticks += latest[i].ticks;
    figures[i].operations += latest[i].operations;
    figures[i].bytes += latest[i].bytes;
  }
}

/// While all calls do the same work, those much slower than the fastest were
/// disturbed: by other processes, or by memory touched for the first time. They
/// don't count.
bool lnn_profile::accept(int64_t taken) {
  constexpr double spread = 1.3;
  auto differs = [](const lnn_abi_figures &a, const lnn_abi_figures &b) {
    return a.entries != b.entries || a.operations != b.operations ||
           a.bytes != b.bytes;
  };
  if (runs == 1)
    work = latest;
  for (size_t i = 0; i < latest.size() && sameWork; ++i)
    sameWork = !differs(latest[i], work[i]);
  if (!sameWork)
    return true;
  if (runs > 1 && static_cast<double>(taken) * spread <
                      static_cast<double>(fastest)) { // all before were
    std::fill(figures.begin(), figures.end(), lnn_abi_figures{});
    calls = ticks = 0;
    seconds = 0;
  }
  fastest = runs == 1 ? taken : std::min(fastest, taken);
  return static_cast<double>(taken) <= static_cast<double>(fastest) * spread;
}

double lnn_profile::secondsOf(int64_t count) const {
  return ticks > 0
             ? seconds * static_cast<double>(count) / static_cast<double>(ticks)
             : 0;
}

std::vector<lnn_region> lnn_profile::regions() const {
  std::vector<lnn_region> result;
  for (size_t i = 0; i < figures.size(); ++i) {
    const lnn_abi_region &region = model->profile->regions[i];
    const lnn_abi_figures &own = figures[i];
    double operations = static_cast<double>(own.operations),
           bytes = static_cast<double>(own.bytes);
    double least = 0;
    if (own.entries && (operations > 0 || bytes > 0))
      least = std::max(
          operations / peaks().operations,
          bytes / peaks().bandwidth(bytes / static_cast<double>(own.entries)));
    int32_t depth = region.parent < 0 ? 0 : result[region.parent].depth + 1;
    result.push_back({region.name, region.nodes, region.kind, region.parent,
                      depth, own.entries, secondsOf(own.ticks), operations,
                      bytes, least});
  }
  // Regions inside have higher numbers: from the last on, each is complete.
  for (size_t i = result.size(); i-- > 0;)
    if (result[i].parent >= 0) {
      lnn_region &parent = result[result[i].parent];
      parent.operations += result[i].operations;
      parent.bytes += result[i].bytes;
      parent.least_seconds += result[i].least_seconds;
    }
  return result;
}

extern "C" {

lnn_status lnn_profile_create(const lnn_model *model, lnn_profile **profile) {
  return guarded([&] {
    if (!model || !profile)
      fail(LNN_ERR_USAGE, "lnn_profile_create: a null argument");
    *profile = nullptr;
    if (!model->profile)
      fail(LNN_ERR_USAGE,
           "model '" + std::string(model->abi->name) +
               "' was compiled without a profile: compile it with lnnc "
               "--profile, or in Python with lnnc.compile(..., profile=True)");
    *profile = new lnn_profile(model);
  });
}

void lnn_profile_free(lnn_profile *profile) { delete profile; }

lnn_status lnn_profile_run(lnn_profile *profile, const lnn_tensor *inputs,
                           size_t n_inputs, lnn_tensor *outputs,
                           size_t n_outputs) {
  return guarded([&] {
    if (!profile)
      fail(LNN_ERR_USAGE, "lnn_profile_run: a null argument");
    profile->run(inputs, n_inputs, outputs, n_outputs);
  });
}

int64_t lnn_profile_runs(const lnn_profile *profile) {
  return profile ? profile->runs : 0;
}
int64_t lnn_profile_calls(const lnn_profile *profile) {
  return profile ? profile->calls : 0;
}
double lnn_profile_seconds(const lnn_profile *profile) {
  return profile ? profile->seconds : 0;
}
size_t lnn_profile_region_count(const lnn_profile *profile) {
  return profile ? static_cast<size_t>(profile->model->profile->n_regions) : 0;
}

lnn_status lnn_profile_region(const lnn_profile *profile, size_t index,
                              lnn_region *region) {
  return guarded([&] {
    if (!profile || !region)
      fail(LNN_ERR_USAGE, "lnn_profile_region: a null argument");
    std::vector<lnn_region> all = profile->regions();
    if (index >= all.size())
      fail(LNN_ERR_USAGE,
           "lnn_profile_region: there is no region " + std::to_string(index));
    *region = all[index];
  });
}

lnn_status lnn_profile_peaks(lnn_peaks *result) {
  return guarded([&] {
    if (!result)
      fail(LNN_ERR_USAGE, "lnn_profile_peaks: a null argument");
    const Peaks &found = peaks();
    *result = {found.operations, found.l1, found.l2, found.memory};
  });
}

lnn_status lnn_profile_report(lnn_profile *profile, const char *format,
                              const char **report) {
  return guarded([&] {
    if (!profile || !format || !report)
      fail(LNN_ERR_USAGE, "lnn_profile_report: a null argument");
    bool svg = std::strcmp(format, "svg") == 0;
    if (!svg && std::strcmp(format, "text") != 0)
      fail(LNN_ERR_USAGE, "lnn_profile_report: the formats are text and svg, "
                          "found '" +
                              std::string(format) + "'");
    profile->report = svg ? svgReport(*profile) : textReport(*profile);
    *report = profile->report.c_str();
  });
}
}
