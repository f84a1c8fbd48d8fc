//===- Commands.h - what lnn-run does with a model ------------------------===//
#ifndef LNN_TOOLS_LNN_RUN_COMMANDS_H
#define LNN_TOOLS_LNN_RUN_COMMANDS_H

#include "Npz.h"

#include <string>
#include <vector>

namespace lnn::tool {

/// The tool's exit codes; the help text says them too.
enum ExitCode {
  Ok = 0,
  Disagrees = 1,
  Usage = 2,
  CannotLoad = 3,
  BadInput = 4,
  RunFailed = 5
};

struct Options {
  std::string model, inputs, outputs, verify;
  std::string profile; ///< "text" or "svg" where one is wanted
  bool describe = false, help = false, version = false;
  long bench = 0, latency = 0, threads = 1;
  double atol = 1e-6, rtol = 1e-6;
  std::vector<std::pair<std::string, int64_t>> sizes;
};

/// Ends the tool with this code and message.
struct ToolError {
  ExitCode code;
  std::string message;
};

/// Throws a ToolError for a call that failed.
void check(lnn_status status);

/// The model's inputs out of a file's arrays: called as the model calls them,
/// or with the prefix ("in0.") where given.
std::vector<Array> pickInputs(const lnn_model *model, const Arrays &arrays,
                              const std::string &prefix);
/// Inputs of random values; dynamic dimensions have the given sizes, or 1.
std::vector<Array> randomInputs(const lnn_model *model, const Options &options);
std::vector<lnn_tensor> tensorsOf(std::vector<Array> &arrays);
/// Runs the model once.
std::vector<Array> run(const lnn_model *model, std::vector<Array> &inputs);

void describe(const lnn_model *model);
ExitCode verify(const lnn_model *model, const Arrays &references,
                const Options &options);
/// Times calls and, of a model with states, steps; and an empty call where
/// asked for.
void bench(const lnn_model *model, std::vector<Array> &inputs, long count,
           bool withEmpty);
/// Prints what the time of `count` calls went into, as the format says.
void profile(const lnn_model *model, std::vector<Array> &inputs, long count,
             const std::string &format);

} // namespace lnn::tool

#endif
