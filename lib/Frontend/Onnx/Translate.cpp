//===- Translate.cpp - --import-onnx and --check-onnx ---------------------===//
#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Explain/Explain.h"
#include "lnn/Frontend/Onnx/Import.h"
#include "lnn/Streaming/Passes.h"
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace lnn::onnx;

static llvm::cl::list<std::string> &stateFlag() {
  static llvm::cl::list<std::string> flag(
      "state", llvm::cl::value_desc("in:out"), llvm::cl::CommaSeparated,
      llvm::cl::desc("the input that the named output replaces in the next "
                     "call, where their names don't say it"));
  return flag;
}

static llvm::cl::list<std::string> &sizeFlag() {
  static llvm::cl::list<std::string> flag(
      "size", llvm::cl::value_desc("name=N"), llvm::cl::CommaSeparated,
      llvm::cl::desc("a value for a dynamic size of the inputs"));
  return flag;
}

static llvm::cl::list<std::string> &freezeFlag() {
  static llvm::cl::list<std::string> flag(
      "freeze", llvm::cl::value_desc("input=value"),
      llvm::cl::desc("a value that an input always has: a number, or a list of "
                     "them as [1, 2]"));
  return flag;
}

static llvm::cl::list<std::string> &dynamicFlag() {
  static llvm::cl::list<std::string> flag(
      "dynamic", llvm::cl::value_desc("input:axis=name"),
      llvm::cl::CommaSeparated,
      llvm::cl::desc("a size that the export fixed and that is to vary"));
  return flag;
}

static llvm::cl::opt<bool> &streamingFlag() {
  static llvm::cl::opt<bool> flag(
      "streaming",
      llvm::cl::desc("states that start from zeros inside of the model become "
                     "inputs and outputs"));
  return flag;
}

static llvm::cl::opt<std::string> &explainFlag() {
  static llvm::cl::opt<std::string> flag(
      "explain", llvm::cl::value_desc("text|svg"), llvm::cl::ValueOptional,
      llvm::cl::desc("instead of the model, print what became of its nodes: as "
                     "text, or as a picture"));
  return flag;
}

static LogicalResult explainModule(ModuleOp module, raw_ostream &os) {
  StringRef form = explainFlag();
  if (!form.empty() && form != "text" && form != "svg") {
    llvm::errs() << "error: --explain takes text or svg, '" << form
                 << "' was given\n";
    return failure();
  }
  auto explanation = lnn::explain::explain(module);
  if (failed(explanation))
    return failure();
  if (form == "svg")
    printSvg(*explanation, os);
  else
    printText(*explanation, os);
  return success();
}

/// Writes down what passes are asked for.
static void request(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Builder b(module.getContext());
  if (main && !dynamicFlag().empty())
    main->setAttr("lnn.dynamic",
                  b.getStrArrayAttr(SmallVector<StringRef>(
                      dynamicFlag().begin(), dynamicFlag().end())));
  if (main && streamingFlag())
    main->setAttr("lnn.streaming", b.getUnitAttr());
}

/// Options from the command line and the file's path.
static FailureOr<ImportOptions> optionsFor(llvm::SourceMgr &sources) {
  const llvm::MemoryBuffer *buffer =
      sources.getMemoryBuffer(sources.getMainFileID());
  StringRef path = buffer->getBufferIdentifier();
  ImportOptions options;
  options.name = llvm::sys::path::stem(path).str();
  if (path == "<stdin>")
    options.name = "model";
  else
    options.baseDir = llvm::sys::path::parent_path(path).str();
  if (path != "<stdin>" && options.baseDir.empty())
    options.baseDir = ".";
  for (const std::string &text : stateFlag()) {
    auto [in, out] = StringRef(text).split(':');
    if (in.empty() || out.empty()) {
      llvm::errs() << "error: --state takes in:out, '" << text
                   << "' was given\n";
      return failure();
    }
    options.states.push_back({in.str(), out.str()});
  }
  for (const std::string &text : sizeFlag()) {
    auto [name, value] = StringRef(text).rsplit('=');
    int64_t size;
    if (name.empty() || value.getAsInteger(10, size)) {
      llvm::errs() << "error: --size takes name=N, '" << text
                   << "' was given\n";
      return failure();
    }
    options.sizes.push_back({name.str(), size});
  }
  for (const std::string &text : freezeFlag()) {
    llvm::Expected<FrozenInput> input = parseFrozenInput(text);
    if (!input) {
      llvm::errs() << "error: --freeze " << toString(input.takeError()) << "\n";
      return failure();
    }
    options.frozen.push_back(*input);
  }
  return options;
}

static OwningOpRef<Operation *> import(llvm::SourceMgr &sources,
                                       MLIRContext *context,
                                       bool *unsupported = nullptr) {
  auto options = optionsFor(sources);
  if (failed(options))
    return nullptr;
  StringRef bytes =
      sources.getMemoryBuffer(sources.getMainFileID())->getBuffer();
  OwningOpRef<ModuleOp> module =
      importModel(bytes, context, *options, unsupported);
  if (module)
    request(*module);
  return module ? OwningOpRef<Operation *>(module.release().getOperation())
                : nullptr;
}

void lnn::onnx::registerTranslations() {
  (void)stateFlag();
  (void)sizeFlag();
  (void)freezeFlag();
  (void)dynamicFlag();
  (void)streamingFlag();
  (void)explainFlag();
  static TranslateRegistration toMlir(
      "import-onnx",
      "read an ONNX model; with --explain, say what became of its nodes",
      [](const std::shared_ptr<llvm::SourceMgr> &sources, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        context->loadDialect<OnnxDialect, arith::ArithDialect,
                             func::FuncDialect>();
        OwningOpRef<Operation *> module = import(*sources, context);
        if (!module || failed(verify(*module)))
          return failure();
        if (explainFlag().getNumOccurrences())
          return explainModule(cast<ModuleOp>(*module), os);
        (*module)->print(os);
        os << "\n";
        return success();
      });
  static TranslateRegistration check(
      "check-onnx",
      "say all that is not supported in an ONNX model; 0 when it would import",
      [](const std::shared_ptr<llvm::SourceMgr> &sources, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        OwningOpRef<Operation *> module = import(*sources, context);
        if (!module)
          return failure();
        PassManager pm(context);
        if (!dynamicFlag().empty() || streamingFlag()) {
          pm.addNestedPass<func::FuncOp>(lnn::createOnnxRaiseRecurrencePass());
          pm.addNestedPass<func::FuncOp>(lnn::createOnnxReroll());
          pm.addNestedPass<func::FuncOp>(lnn::createOnnxFreeSizes());
          pm.addNestedPass<func::FuncOp>(lnn::createLnnExposeStates());
        }
        pm.addPass(createConvertOnnxToLnn());
        if (failed(pm.run(*module)))
          return failure();
        os << "supported\n";
        return success();
      });
}
