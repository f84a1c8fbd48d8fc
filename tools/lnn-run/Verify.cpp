//===- Verify.cpp - results beside references -----------------------------===//
#include "Commands.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lnn::tool {
namespace {

struct Comparison {
  bool agrees = true;
  double worst = 0; // largest |error|, infinite where one is NaN or infinite
                    // and the other is not
  std::string why;
};

Comparison compare(const Array &result, const Array &reference,
                   const Options &options) {
  if (result.dtype != reference.dtype &&
      !(result.dtype == LNN_BF16 && reference.dtype == LNN_U16))
    return {false, INFINITY,
            std::string("dtype is ") + lnn_dtype_name(result.dtype) +
                ", the reference's " + lnn_dtype_name(reference.dtype)};
  if (result.dims != reference.dims)
    return {false, INFINITY,
            "shape is " + result.shape() + ", the reference's " +
                reference.shape()};
  Array expected = reference;
  expected.dtype = result.dtype;
  Comparison comparison;
  for (size_t i = 0; i < result.count(); ++i) {
    double found = result.value(i), wanted = expected.value(i);
    if (found == wanted || (std::isnan(found) && std::isnan(wanted)))
      continue;
    double error = std::fabs(found - wanted);
    if (!std::isfinite(error))
      error = INFINITY;
    comparison.worst = std::max(comparison.worst, error);
    if (!(error <= options.atol + options.rtol * std::fabs(wanted)) &&
        comparison.agrees) {
      comparison.agrees = false;
      char text[160];
      std::snprintf(text, sizeof text,
                    "element %zu is %.9g, the reference's %.9g", i, found,
                    wanted);
      comparison.why = text;
    }
  }
  return comparison;
}

bool hasSet(const Arrays &arrays, const std::string &prefix) {
  auto found = arrays.lower_bound(prefix);
  return found != arrays.end() &&
         found->first.compare(0, prefix.size(), prefix) == 0;
}

/// Compares one set's outputs, prints a line for each; whether all agree.
bool verifySet(const lnn_model *model, const Arrays &references, int set,
               const Options &options, double &worst) {
  std::string inPrefix = "in" + std::to_string(set) + ".",
              outPrefix = "out" + std::to_string(set) + ".";
  std::vector<Array> inputs = pickInputs(model, references, inPrefix);
  std::vector<Array> results = run(model, inputs);
  bool all = true;
  for (size_t j = 0; j < results.size(); ++j) {
    std::string name = lnn_model_output(model, j)->name;
    auto reference = references.find(outPrefix + name);
    Comparison comparison{false, INFINITY,
                          "the file has no array '" + outPrefix + name + "'"};
    if (reference != references.end())
      comparison = compare(results[j], reference->second, options);
    std::printf(
        "set %d  %-20s %-9s %-20s max error %-9.3g %s%s\n", set, name.c_str(),
        lnn_dtype_name(results[j].dtype), results[j].shape().c_str(),
        comparison.worst,
        comparison.agrees ? "ok" : "DISAGREES: ", comparison.why.c_str());
    all &= comparison.agrees;
    worst = std::max(worst, comparison.worst);
  }
  for (const auto &[name, array] : references)
    if (name.compare(0, outPrefix.size(), outPrefix) == 0 &&
        lnn_model_find_output(model, name.c_str() + outPrefix.size()) < 0) {
      std::printf("set %d  the model has no output '%s'\n", set,
                  name.c_str() + outPrefix.size());
      all = false;
    }
  return all;
}

} // namespace

ExitCode verify(const lnn_model *model, const Arrays &references,
                const Options &options) {
  int sets = 0, agree = 0;
  double worst = 0;
  for (;; ++sets) {
    std::string number = std::to_string(sets);
    if (!hasSet(references, "in" + number + ".") &&
        !hasSet(references, "out" + number + "."))
      break;
    agree += verifySet(model, references, sets, options, worst);
  }
  if (sets == 0)
    throw ToolError{BadInput,
                    options.verify + " has no arrays called in0.* and out0.*"};
  std::printf("%d of %d sets agree: max error %.3g (atol %g, rtol %g)\n", agree,
              sets, worst, options.atol, options.rtol);
  return agree == sets ? Ok : Disagrees;
}

} // namespace lnn::tool
