//===- lnnc.cpp - compile a model in one step -----------------------------===//
//
// Exit codes: 0 compiled; 1 the model cannot be compiled; 2 wrong use, or a
// file that cannot be read or written; 3 the model needs something that is not
// supported.
//
//===----------------------------------------------------------------------===//
#include "lnn/Compiler/Compiler.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace {

enum ExitCode { Ok = 0, CannotCompile = 1, Usage = 2, Unsupported = 3 };

constexpr char overview[] =
    "lnnc - compile a model (.onnx, or .mlir text) to native code\n\n"
    "  lnnc m.onnx -o m.so\n\n"
    "Exit codes: 0 compiled; 1 the model cannot be compiled; 2 wrong use, or a "
    "file\n"
    "that cannot be read or written; 3 the model needs something not "
    "supported.\n";

struct Options {
  cl::OptionCategory category{"lnnc options"};
  cl::opt<std::string> input{cl::Positional, cl::desc("<model>"), cl::Required,
                             cl::cat(category)};
  cl::opt<std::string> output{
      "o",
      cl::desc("Where to write (the model's name with .so, .o, .ll, .s or "
               ".mlir by default; - is "
               "the standard output)"),
      cl::value_desc("filename"), cl::cat(category)};
  cl::opt<std::string> target{"target", cl::desc("What to compile for (cpu)"),
                              cl::init("cpu"), cl::cat(category)};
  cl::opt<std::string> cpu{
      "mcpu",
      cl::desc("The processor, as -mcpu of llc; several, separated by commas, "
               "of which the one that fits is chosen at load"),
      cl::init("native"), cl::cat(category)};
  cl::opt<std::string> features{
      "mattr", cl::desc("Its features, as -mattr of llc (+avx2,-fma,...)"),
      cl::cat(category)};
  cl::opt<std::string> name{
      "name", cl::desc("The model's name (the file's by default)"),
      cl::cat(category)};
  cl::list<std::string> states{
      "state",
      cl::desc(
          "An input and the output that replaces it, where names don't say it"),
      cl::value_desc("input:output"), cl::cat(category)};
  cl::opt<bool> noReroll{
      "no-reroll",
      cl::desc("Leave what the exporter unrolled (time, solver steps) as it "
               "is, instead of turning it back into loops"),
      cl::cat(category)};
  cl::opt<bool> noRaise{
      "no-raise",
      cl::desc("Compile what is written, instead of turning formulas that are "
               "a cell's equations into the cell"),
      cl::cat(category)};
  cl::opt<bool> noFoldFeedback{
      "no-fold-feedback",
      cl::desc("Leave a cell's constant linear feedback apart from its "
               "recurrent matrix"),
      cl::cat(category)};
  cl::list<std::string> sizes{
      "size",
      cl::desc("A value for a dynamic size of the inputs (batch=1): code for "
               "known sizes is faster"),
      cl::value_desc("name=N"), cl::CommaSeparated, cl::cat(category)};
  cl::list<std::string> frozen{
      "freeze",
      cl::desc("A value that an input always has, so that it is none any more "
               "(sr=16000, or scale=[0.5, 2]): what depends on it alone is "
               "computed now"),
      cl::value_desc("input=value"), cl::cat(category)};
  cl::list<std::string> dynamic{
      "dynamic",
      cl::desc("A size that the export fixed and that is to vary: dimension "
               "`axis` of an input, under a name (x:1=time)"),
      cl::value_desc("input:axis=name"), cl::CommaSeparated, cl::cat(category)};
  cl::opt<bool> streaming{
      "streaming",
      cl::desc("Make states that start from zeros inside of the model inputs "
               "and outputs, so that a session steps it through a sequence"),
      cl::cat(category)};
  cl::opt<std::string> triple{
      "mtriple",
      cl::desc("The system to compile for, as llc's: aarch64-linux-gnu; this "
               "one by default"),
      cl::cat(category)};
  cl::opt<std::string> weights{
      "weights",
      cl::desc("How constant matrices are stored: f32, bf16 or int8. Products "
               "with few rows are as fast as their bytes are few"),
      cl::init("f32"), cl::cat(category)};
  cl::opt<std::string> products{
      "products",
      cl::desc("What products with constant matrices multiply: f32 or bf16; "
               "sums are of f32"),
      cl::init("f32"), cl::cat(category)};
  cl::opt<std::string> math{
      "math", cl::desc("Elementary functions: accurate (2 ulp) or fast (1e-4)"),
      cl::init("accurate"), cl::cat(category)};
  cl::list<int64_t> block{
      "block",
      cl::desc("Rows and vectors of a block of loops, where they are not to be "
               "chosen by cost; 0 leaves one to it. See --explain-codegen"),
      cl::value_desc("rows,vectors"), cl::CommaSeparated, cl::cat(category)};
  cl::opt<bool> explainCodegen{
      "explain-codegen",
      cl::desc("Say of each loop nest which loops became lanes and blocks, and "
               "what an iteration costs"),
      cl::cat(category)};
  cl::opt<bool> profile{
      "profile",
      cl::desc("Count time, operations and bytes of the model's regions in "
               "each run, for lnn-run --profile; it runs slower"),
      cl::cat(category)};
  cl::opt<std::string> emit{
      "emit",
      cl::desc("What to write: so, obj, llvm, asm or mlir (as lowered)"),
      cl::init("so"), cl::cat(category)};
};

/// Shows our options and MLIR's, not the hundreds that LLVM's libraries
/// register.
void hideOthers(cl::OptionCategory &ours) {
  for (auto &entry : cl::getRegisteredOptions()) {
    cl::Option *option = entry.second;
    bool mine = is_contained(option->Categories, &ours);
    bool mlir = entry.first.starts_with("mlir-");
    bool general =
        entry.first == "help" || entry.first == "version" || entry.first == "h";
    if (!mine && !mlir && !general)
      option->setHiddenFlag(cl::ReallyHidden);
  }
}

/// The linker inside has options of the same names, made when it first runs.
void unregister(Options &options) {
  for (std::reference_wrapper<cl::Option> option :
       std::initializer_list<std::reference_wrapper<cl::Option>>{
           options.input,          options.output,
           options.target,         options.cpu,
           options.features,       options.name,
           options.states,         options.noReroll,
           options.noRaise,        options.noFoldFeedback,
           options.sizes,          options.frozen,
           options.dynamic,        options.streaming,
           options.explainCodegen, options.block,
           options.profile,        options.emit,
           options.weights,        options.products,
           options.math,           options.triple})
    option.get().removeArgument();
}

bool readStates(const Options &options, lnn::CompileOptions &compile) {
  for (const std::string &state : options.states) {
    auto [input, output] = StringRef(state).split(':');
    if (input.empty() || output.empty()) {
      errs() << "lnnc: --state takes input:output, found '" << state << "'\n";
      return false;
    }
    compile.states.emplace_back(input.str(), output.str());
  }
  return true;
}

bool readSizes(const Options &options, lnn::CompileOptions &compile) {
  for (const std::string &text : options.sizes) {
    auto [name, value] = StringRef(text).rsplit('=');
    int64_t size;
    if (name.empty() || value.getAsInteger(10, size)) {
      errs() << "lnnc: --size takes name=N, found '" << text << "'\n";
      return false;
    }
    compile.sizes.emplace_back(name.str(), size);
  }
  return true;
}

bool readFrozen(const Options &options, lnn::CompileOptions &compile) {
  for (const std::string &text : options.frozen) {
    Expected<lnn::onnx::FrozenInput> input = lnn::onnx::parseFrozenInput(text);
    if (!input) {
      errs() << "lnnc: --freeze " << toString(input.takeError()) << "\n";
      return false;
    }
    compile.frozen.push_back(*input);
  }
  return true;
}

std::string outputPath(const Options &options) {
  if (!options.output.empty())
    return options.output;
  SmallString<128> path = sys::path::filename(options.input);
  StringRef kind = options.emit;
  sys::path::replace_extension(path, kind == "obj"    ? "o"
                                     : kind == "llvm" ? "ll"
                                     : kind == "asm"  ? "s"
                                                      : kind);
  return std::string(path);
}

int write(const std::string &path, ArrayRef<char> bytes) {
  std::error_code code;
  ToolOutputFile file(path, code, sys::fs::OF_None);
  if (!code) {
    file.os().write(bytes.data(), bytes.size());
    file.os().flush();
    code = file.os().error();
    file.os().clear_error();
  }
  if (code) {
    errs() << "lnnc: cannot write " << path << ": " << code.message() << "\n";
    return Usage;
  }
  file.keep();
  return Ok;
}

int exitCode(lnn::ErrorKind kind) {
  switch (kind) {
  case lnn::ErrorKind::None:
    return Ok;
  case lnn::ErrorKind::Input:
    return Usage;
  case lnn::ErrorKind::Unsupported:
    return Unsupported;
  case lnn::ErrorKind::Compile:
    return CannotCompile;
  }
  return CannotCompile;
}

} // namespace

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  Options options;
  lnn::registerAllPasses(); // whose names --mlir-print-ir-after takes
  mlir::registerAsmPrinterCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  hideOthers(options.category);
  if (!cl::ParseCommandLineOptions(argc, argv, overview, &errs()))
    return Usage;
  unregister(options);
  lnn::CompileOptions compile;
  compile.target = options.target;
  compile.triple = options.triple;
  compile.cpu = options.cpu;
  compile.features = options.features;
  compile.name = options.name;
  compile.emit = options.emit;
  compile.reroll = !options.noReroll;
  compile.raise = !options.noRaise;
  compile.foldFeedback = !options.noFoldFeedback;
  compile.dynamic.assign(options.dynamic.begin(), options.dynamic.end());
  compile.streaming = options.streaming;
  compile.profile = options.profile;
  compile.explainCodegen = options.explainCodegen;
  compile.block.assign(options.block.begin(), options.block.end());
  compile.weights = options.weights;
  compile.products = options.products;
  compile.math = options.math;
  if (!readStates(options, compile) || !readSizes(options, compile) ||
      !readFrozen(options, compile))
    return Usage;
  lnn::CompileResult result = lnn::compileFile(options.input, compile);
  errs() << result.diagnostics;
  if (!result)
    return exitCode(result.error);
  return write(outputPath(options), result.artifact.bytes);
}
