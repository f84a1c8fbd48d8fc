//===- lnn-run.cpp - run, verify and time a compiled model ----------------===//
//
// Needs the runtime alone: no LLVM, no Python.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

using namespace lnn::tool;

namespace {

constexpr char help[] =
    R"(OVERVIEW: lnn-run - run, verify and time a model that lnnc compiled

  lnn-run m.so --inputs in.npz --outputs out.npz
  lnn-run m.so --verify refs.npz --atol 1e-6 --rtol 1e-6
  lnn-run m.so --inputs in.npz --bench 1000

USAGE: lnn-run [options] <model>

An artifact is native code: running one gives it the rights of this process.

OPTIONS:

lnn-run options:

  --atol=<number>     - Absolute tolerance of --verify (1e-6 by default)
  --bench=<count>     - Time that many calls: median and percentiles in microseconds; for a model
                        with states, steps of a session too
  --describe          - Print inputs, outputs, states, target and what the CPU must have
  --inputs=<file>     - An .npz file with an array for each input, by name or as in0.<name>;
                        random values without it
  --latency=<count>   - As --bench, beside that many times nothing: what the machine itself adds to the
                        slowest calls
  --outputs=<file>    - Write the results to this .npz file
  --profile[=<format>] - Print what the time of a call goes into, by the model's nodes, as text or
                        svg (a picture): of a model compiled with lnnc --profile, and the mean of
                        --bench calls (100 without it)
  --rtol=<number>     - Relative tolerance of --verify (1e-6 by default)
  --size=<name>=<n>   - Size of a dynamic dimension for random inputs (1 by default)
  --threads=<count>   - Compute parts of a batch on that many threads (1 by default), where the model's
                        rows are independent, or of wide layers; results are the same bits
  --verify=<file>     - An .npz file with sets of inputs in0.<name>, in1.<name>, ... and of results
                        out0.<name>, ...; all must agree: |error| <= atol + rtol * |reference|

Generic Options:

  --help              - Display this help
  --version           - Display the version

bfloat16 arrays are V2, as NumPy writes them, or uint16 bits.

Exit codes: 0 done, and what was to be verified agrees; 1 a set disagrees; 2 wrong use;
3 the model cannot be loaded; 4 a file or an array in it is not what the model takes;
5 the model failed while it ran.
)";

[[noreturn]] void usage(const std::string &message) {
  throw ToolError{Usage, message + "; see lnn-run --help"};
}

double toNumber(const std::string &option, const std::string &text) {
  char *end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end || !std::isfinite(value) || value < 0)
    usage("--" + option + " takes a number that is not negative, found '" +
          text + "'");
  return value;
}

long toCount(const std::string &option, const std::string &text) {
  double value = toNumber(option, text);
  if (value != std::floor(value) || value > 1e9)
    usage("--" + option + " takes a whole number up to 1e9, found '" + text +
          "'");
  return static_cast<long>(value);
}

void addSize(Options &options, const std::string &text) {
  size_t at = text.rfind('=');
  if (at == text.npos || at == 0)
    usage("--size takes name=n, found '" + text + "'");
  options.sizes.emplace_back(text.substr(0, at),
                             toCount("size", text.substr(at + 1)));
}

void setProfile(Options &options, const std::string &format) {
  if (format != "text" && format != "svg")
    usage("--profile takes text or svg, found '" + format + "'");
  options.profile = format;
}

/// Takes an option that has a value; false if there is none of that name.
bool setValue(Options &options, const std::string &name,
              const std::string &value) {
  if (name == "inputs")
    options.inputs = value;
  else if (name == "outputs")
    options.outputs = value;
  else if (name == "verify")
    options.verify = value;
  else if (name == "bench")
    options.bench = toCount(name, value);
  else if (name == "latency")
    options.latency = toCount(name, value);
  else if (name == "atol")
    options.atol = toNumber(name, value);
  else if (name == "rtol")
    options.rtol = toNumber(name, value);
  else if (name == "size")
    addSize(options, value);
  else if (name == "threads")
    options.threads = toCount(name, value);
  else
    return false;
  return true;
}

bool isValueOption(const std::string &name) {
  for (const char *known : {"inputs", "outputs", "verify", "bench", "atol",
                            "rtol", "size", "latency", "threads"})
    if (name == known)
      return true;
  return false;
}

/// Options as LLVM's tools take them: one dash or two, the value behind `=` or
/// in the next argument.
Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.size() < 2 || argument[0] != '-') {
      if (!options.model.empty())
        usage("one model at a time: found '" + options.model + "' and '" +
              argument + "'");
      options.model = argument;
      continue;
    }
    argument.erase(0, argument[1] == '-' ? 2 : 1);
    size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals);
    if (name == "help" || name == "h")
      options.help = true;
    else if (name == "version")
      options.version = true;
    else if (name == "describe")
      options.describe = true;
    else if (name == "profile")
      setProfile(options, equals == argument.npos
                              ? "text"
                              : argument.substr(equals + 1));
    else if (!isValueOption(name))
      usage("unknown option '" + std::string(argv[i]) + "'");
    else if (equals != argument.npos)
      setValue(options, name, argument.substr(equals + 1));
    else if (++i < argc)
      setValue(options, name, argv[i]);
    else
      usage("--" + name + " needs a value");
  }
  return options;
}

std::vector<Array> readInputs(const lnn_model *model, const Options &options) {
  const std::string &path =
      options.inputs.empty() ? options.verify : options.inputs;
  if (path.empty())
    return randomInputs(model, options);
  Arrays arrays = readNpz(path);
  // The first set of a file of references will do as inputs.
  auto first = arrays.lower_bound("in0.");
  bool sets = first != arrays.end() && first->first.compare(0, 4, "in0.") == 0;
  return pickInputs(model, arrays, sets ? "in0." : "");
}

void runOnce(const lnn_model *model, std::vector<Array> &inputs,
             const Options &options) {
  std::vector<Array> results = run(model, inputs);
  std::vector<std::pair<std::string, Array>> named;
  for (size_t j = 0; j < results.size(); ++j) {
    const char *name = lnn_model_output(model, j)->name;
    std::printf("%-20s %-9s %s\n", name, lnn_dtype_name(results[j].dtype),
                results[j].shape().c_str());
    named.emplace_back(name, std::move(results[j]));
  }
  if (!options.outputs.empty())
    writeNpz(options.outputs, named);
}

struct FreeModel {
  void operator()(lnn_model *model) const { lnn_model_free(model); }
};

ExitCode execute(const Options &options) {
  if (options.model.empty())
    usage("no model given");
  lnn_model *loaded;
  check(lnn_model_load_file(options.model.c_str(), &loaded));
  std::unique_ptr<lnn_model, FreeModel> model(loaded);
  if (options.threads != 1)
    check(lnn_model_set_threads(loaded, static_cast<int32_t>(std::min<long>(
                                            options.threads, INT32_MAX))));
  if (options.describe)
    describe(loaded);
  ExitCode code = Ok;
  if (!options.verify.empty())
    code = verify(loaded, readNpz(options.verify), options);
  bool measured = options.bench || options.latency || !options.profile.empty();
  if (measured || !options.outputs.empty() || !options.inputs.empty() ||
      (options.verify.empty() && !options.describe)) {
    std::vector<Array> inputs = readInputs(loaded, options);
    if (!options.outputs.empty() || !measured)
      runOnce(loaded, inputs, options);
    if (!options.profile.empty())
      profile(loaded, inputs, options.bench ? options.bench : 100,
              options.profile);
    else if (options.bench)
      bench(loaded, inputs, options.bench, /*withEmpty=*/false);
    else if (options.latency)
      bench(loaded, inputs, options.latency, /*withEmpty=*/true);
  }
  return code;
}

} // namespace

int main(int argc, char **argv) {
  try {
    Options options = parse(argc, argv);
    if (options.help || options.version) {
      std::fputs(options.help
                     ? help
                     : (std::string("lnn-run ") + lnn_runtime_version() + "\n")
                           .c_str(),
                 stdout);
      return Ok;
    }
    return execute(options);
  } catch (const ToolError &error) {
    std::fprintf(stderr, "lnn-run: error: %s\n", error.message.c_str());
    return error.code;
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "lnn-run: error: out of memory\n");
    return BadInput;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "lnn-run: error: %s\n", error.what());
    return BadInput;
  }
}
