//===- Compiler.cpp - the facade every entry point calls ------------------===//
#include "lnn/Compiler/Compiler.h"

#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Frontend/Onnx/Import.h"
#include "lnn/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <mutex>

using namespace mlir;

namespace lnn {
namespace {

/// Where in the user's model something is: a node's name, or a place in a text.
std::string describe(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return "node '" + name.getName().str() + "'";
  if (auto file = dyn_cast<FileLineColLoc>(location))
    return file.getFilename().str() + ":" + std::to_string(file.getLine()) +
           ":" + std::to_string(file.getColumn());
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (std::string text = describe(part); !text.empty())
        return text;
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return describe(call.getCallee());
  return "";
}

StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error: ";
  case DiagnosticSeverity::Warning:
    return "warning: ";
  case DiagnosticSeverity::Note:
    return "note: ";
  default:
    return "remark: ";
  }
}

/// One diagnostic as text; its notes follow. A location that the message names
/// already is not repeated.
void append(std::string &text, Diagnostic &diagnostic) {
  std::string message = diagnostic.str(),
              place = describe(diagnostic.getLocation());
  auto name = dyn_cast<NameLoc>(diagnostic.getLocation());
  if (place.empty() ||
      (name && StringRef(message).contains(name.getName().getValue())))
    text += severityName(diagnostic.getSeverity()).str() + message + "\n";
  else
    text += severityName(diagnostic.getSeverity()).str() + place + ": " +
            message + "\n";
  for (Diagnostic &note : diagnostic.getNotes())
    if (!StringRef(note.str()).starts_with("see current operation"))
      append(text, note);
}

std::optional<OutputKind> outputKind(StringRef name) {
  return llvm::StringSwitch<std::optional<OutputKind>>(name)
      .Case("so", OutputKind::SharedObject)
      .Case("obj", OutputKind::Object)
      .Case("llvm", OutputKind::LLVM)
      .Case("asm", OutputKind::Assembly)
      .Case("mlir", OutputKind::MLIR)
      .Default(std::nullopt);
}

/// Compiles one model. Made on the heap and left there if the compiler crashes:
/// nothing of it can be trusted then.
class Compilation {
public:
  Compilation(StringRef bytes, const CompileOptions &options,
              std::unique_ptr<llvm::MemoryBuffer> file)
      : bytes(bytes), options(options), file(std::move(file)) {}
  void run();
  CompileResult result;

private:
  StringRef bytes;
  const CompileOptions &options;
  std::unique_ptr<llvm::MemoryBuffer> file; ///< that holds the bytes, or null

  void fail(ErrorKind kind, const Twine &message) {
    result.error = kind;
    result.diagnostics += "error: " + message.str() + "\n";
  }
  void failFromDiagnostics(ErrorKind kind, StringRef what) {
    if (!StringRef(result.diagnostics).contains("error: "))
      result.diagnostics +=
          "error: " + what.str() + " failed without saying why\n";
    result.error = kind;
  }
  OwningOpRef<ModuleOp> read(MLIRContext &context);
  LogicalResult pairStates(ModuleOp module);
  bool request(ModuleOp module);
  LogicalResult lower(ModuleOp module, const Target &target,
                      const TargetOptions &targetOptions);
  bool mayLeaveUnrolled(ModuleOp module, const TargetOptions &version) const;
  using Emit = std::function<llvm::Error(size_t version, OutputKind,
                                         llvm::raw_pwrite_stream &)>;
  llvm::Error write(const Target &target, const TargetOptions &targetOptions,
                    ArrayRef<OwningOpRef<ModuleOp>> lowered, OutputKind kind,
                    const Emit &emit);
  std::string hash() const;
};

/// Of all that decides what the artifact is.
std::string Compilation::hash() const {
  llvm::BLAKE3 hasher;
  hasher.update(bytes);
  for (const std::string *part :
       {&options.target, &options.cpu, &options.features, &options.name,
        &options.weights, &options.products, &options.math, &options.triple})
    hasher.update("\n" + *part);
  for (const auto &[input, output] : options.states)
    hasher.update("\n" + input + ":" + output);
  hasher.update(options.reroll ? "\nreroll" : "\n");
  hasher.update(options.raise ? "\nraise" : "\n");
  hasher.update(options.foldFeedback ? "\nfold-feedback" : "\n");
  for (int64_t count : options.block)
    hasher.update("\nblock " + std::to_string(count));
  for (const auto &[name, size] : options.sizes)
    hasher.update("\n" + name + "=" + std::to_string(size));
  for (const onnx::FrozenInput &input : options.frozen) {
    hasher.update("\n" + input.name);
    auto update = [&](const auto &values) {
      hasher.update("\n" + std::to_string(values.size()) + "\n");
      hasher.update(ArrayRef(reinterpret_cast<const uint8_t *>(values.data()),
                             values.size() * sizeof(values[0])));
    };
    update(input.shape);
    hasher.update(std::to_string(input.values.index()));
    std::visit(update, input.values);
  }
  for (const std::string &size : options.dynamic)
    hasher.update("\n" + size);
  hasher.update(options.streaming ? "\nstreaming" : "\n");
  hasher.update(options.profile ? "\nprofile" : "\n");
  hasher.update("\n" LNN_VERSION);
  return llvm::toHex(hasher.final(), /*LowerCase=*/true);
}

/// Says on the arguments of a module read as text which states the caller
/// named; the importer does that for ONNX.
LogicalResult Compilation::pairStates(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (options.states.empty() || !main)
    return success();
  auto find = [&](StringRef name, bool argument) -> std::optional<unsigned> {
    unsigned count = argument ? main.getNumArguments() : main.getNumResults();
    for (unsigned i = 0; i < count; ++i) {
      auto given = argument
                       ? main.getArgAttrOfType<StringAttr>(i, "lnn.name")
                       : main.getResultAttrOfType<StringAttr>(i, "lnn.name");
      if (name == (given ? given.getValue().str()
                         : (argument ? "arg" : "out") + std::to_string(i)))
        return i;
    }
    return std::nullopt;
  };
  Builder b(module.getContext());
  for (const auto &[input, output] : options.states) {
    std::optional<unsigned> i = find(input, true), j = find(output, false);
    if (!i || !j)
      return fail(ErrorKind::Input,
                  "state " + input + ":" + output + ": the model has no " +
                      (i ? "output '" + output : "input '" + input) + "'"),
             failure();
    main.setArgAttr(*i, "lnn.role", b.getStringAttr("state"));
    main.setArgAttr(*i, "lnn.next", b.getStringAttr(output));
  }
  return success();
}

/// How deep a text's brackets are nested, if none is in a string: MLIR's parser
/// takes stack for each.
size_t nesting(StringRef text) {
  size_t depth = 0, deepest = 0;
  char before = 0;
  for (char c : text) {
    if (StringRef("([{<").contains(c))
      deepest = std::max(deepest, ++depth);
    else if (StringRef(")]}>").contains(c) && depth &&
             !(c == '>' && before == '-'))
      --depth;
    before = c;
  }
  return deepest;
}

OwningOpRef<ModuleOp> Compilation::read(MLIRContext &context) {
#ifdef LNN_HAVE_IMPORT
  if (onnx::looksLikeOnnx(bytes)) {
    onnx::ImportOptions import;
    import.baseDir = options.baseDir;
    import.name = options.name;
    import.states = options.states;
    import.sizes = options.sizes;
    import.frozen = options.frozen;
    bool unsupported = false;
    OwningOpRef<ModuleOp> module =
        onnx::importModel(bytes, &context, import, &unsupported);
    if (!module)
      failFromDiagnostics(unsupported ? ErrorKind::Unsupported
                                      : ErrorKind::Compile,
                          "reading the model");
    return module;
  }
#endif
  if (!options.sizes.empty())
    return fail(ErrorKind::Input, "sizes are given to ONNX models; write them "
                                  "into the text of this one"),
           nullptr;
  if (!options.frozen.empty())
    return fail(ErrorKind::Input, "inputs of ONNX models can be frozen; write "
                                  "constants into the text of this one"),
           nullptr;
  if (nesting(bytes) > 1000)
    return fail(ErrorKind::Compile, "the text is nested too deeply to be read"),
           nullptr;
  ParserConfig config(&context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(
      bytes, config, options.name.empty() ? "model" : options.name);
  if (!module)
    return failFromDiagnostics(ErrorKind::Compile, "reading the model"),
           nullptr;
  if (failed(pairStates(*module)))
    return nullptr;
  return module;
}

/// Writes down what passes on the import level are asked for.
bool Compilation::request(ModuleOp module) {
  if (options.dynamic.empty() && !options.streaming)
    return true;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main || main.getOps<onnx::NodeOp>().empty())
    return fail(ErrorKind::Unsupported,
                "not supported: dynamic sizes and streaming are for models "
                "imported from ONNX"),
           false;
  Builder b(module.getContext());
  if (!options.dynamic.empty())
    main->setAttr("lnn.dynamic",
                  b.getStrArrayAttr(SmallVector<StringRef>(
                      options.dynamic.begin(), options.dynamic.end())));
  if (options.streaming)
    main->setAttr("lnn.streaming", b.getUnitAttr());
  return true;
}

LogicalResult Compilation::lower(ModuleOp module, const Target &target,
                                 const TargetOptions &targetOptions) {
  PassManager pm(module.getContext());
  (void)applyPassManagerCLOptions(pm);
  applyDefaultTimingPassManagerCLOptions(pm);
  target.buildPipeline(pm, targetOptions);
  return pm.run(module);
}

llvm::Error Compilation::write(const Target &target,
                               const TargetOptions &targetOptions,
                               ArrayRef<OwningOpRef<ModuleOp>> lowered,
                               OutputKind kind, const Emit &emit) {
  std::vector<char> &out = result.artifact.bytes;
  if (kind == OutputKind::SharedObject) {
    SmallVector<ObjectWriter> objects;
    for (size_t i = 0; i < lowered.size(); ++i)
      objects.push_back([&emit, i](llvm::raw_pwrite_stream &os) {
        return emit(i, OutputKind::Object, os);
      });
    return target.link(objects, targetOptions, out);
  }
  SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  if (kind == OutputKind::MLIR)
    os << *lowered[0].get();
  else if (llvm::Error error = emit(0, kind, os))
    return error;
  out.assign(bytes.begin(), bytes.end());
  return llvm::Error::success();
}

/// What is wrong with the options that trade precision for speed.
static std::string checkPrecision(const CompileOptions &options) {
  auto check = [](StringRef what, StringRef value,
                  ArrayRef<StringRef> choices) -> std::string {
    if (is_contained(choices, value))
      return "";
    return (what + " cannot be '" + value +
            "'; there is: " + llvm::join(choices, ", "))
        .str();
  };
  std::string error =
      check("weights", options.weights, {"f32", "bf16", "int8"});
  if (error.empty())
    error = check("products", options.products, {"f32", "bf16"});
  if (error.empty())
    error = check("math", options.math, {"accurate", "fast"});
  return error;
}

/// True where it is worth a second attempt without re-rolling: not where that
/// takes long, or where loops are what was asked for.
bool Compilation::mayLeaveUnrolled(ModuleOp module,
                                   const TargetOptions &version) const {
  constexpr int64_t many = 20000;
  if (!version.reroll || !options.dynamic.empty() || options.streaming)
    return false;
  int64_t count = 0;
  return !module
              .walk([&](Operation *) {
                return ++count > many ? WalkResult::interrupt()
                                      : WalkResult::advance();
              })
              .wasInterrupted();
}

void Compilation::run() {
  const Target *target = lookupTarget(options.target);
  if (!target)
    return fail(ErrorKind::Input,
                "no target '" + options.target +
                    "'; there is: " + llvm::join(targetNames(), ", "));
  std::optional<OutputKind> kind = outputKind(options.emit);
  if (!kind)
    return fail(ErrorKind::Input, "cannot emit '" + options.emit +
                                      "'; there is: so, obj, llvm, asm, mlir");
  if (std::string error = checkPrecision(options); !error.empty())
    return fail(ErrorKind::Input, error);
  SmallVector<TargetOptions> versions;
  for (StringRef cpu : llvm::split(options.cpu, ','))
    versions.push_back({cpu.str(), options.features,
                        (options.name.empty() ? "model" : options.name) + ".so",
                        options.reroll, options.raise, options.foldFeedback,
                        options.profile, options.explainCodegen,
                        options.weights, options.products,
                        options.math == "fast", options.block, options.triple});
  for (const TargetOptions &version : versions)
    if (versions.size() > 1 && version.cpu.empty())
      return fail(ErrorKind::Input,
                  "a processor without a name among '" + options.cpu + "'");
  for (const TargetOptions &version : versions)
    if (std::string error = target->check(version); !error.empty())
      return fail(ErrorKind::Input, error);
  if (versions.size() > 1 && *kind != OutputKind::SharedObject)
    return fail(ErrorKind::Input, "several processors (" + options.cpu +
                                      ") go into a shared object only, not '" +
                                      options.emit + "'");

  DialectRegistry registry;
  registerAllDialects(registry);
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  unsigned errors = 0, notSupported = 0;
  std::optional<ScopedDiagnosticHandler> handler;
  handler.emplace(context.get(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      ++errors;
      notSupported += StringRef(diagnostic.str()).contains("not supported:");
    }
    append(result.diagnostics, diagnostic);
    return success();
  });
  OwningOpRef<ModuleOp> module = read(*context);
  if (!module)
    return;
  Builder b(context.get());
  if (!request(*module))
    return;
  (*module)->setAttr("lnn.hash", b.getStringAttr(hash()));
  (*module)->setAttr(
      "lnn.name",
      b.getStringAttr(options.name.empty() ? "model" : options.name));
  file.reset();
  bytes = {};
  SmallVector<OwningOpRef<ModuleOp>> lowered;
  for (auto [i, version] : llvm::enumerate(versions)) {
    bool last = i + 1 == versions.size();
    lowered.push_back(last ? std::move(module)
                           : OwningOpRef<ModuleOp>(module->clone()));
    if (i > 0)
      (*lowered.back())->setAttr("lnn.version", b.getI64IntegerAttr(i));
    // What a loop makes of a graph may be refused where the graph is not.
    OwningOpRef<ModuleOp> asExported =
        mayLeaveUnrolled(*lowered.back(), version)
            ? OwningOpRef<ModuleOp>(lowered.back()->clone())
            : OwningOpRef<ModuleOp>();
    size_t start = result.diagnostics.size();
    if (succeeded(lower(*lowered.back(), *target, version)))
      continue;
    size_t said = result.diagnostics.size();
    bool unsupported = errors && errors == notSupported;
    version.reroll = false;
    if (asExported && succeeded(lower(*asExported, *target, version))) {
      lowered.back() = std::move(asExported);
      result.diagnostics.erase(start, said - start);
      errors = notSupported = 0;
      continue;
    }
    result.diagnostics.resize(said);
    return failFromDiagnostics(
        unsupported ? ErrorKind::Unsupported : ErrorKind::Compile, "lowering");
  }
  size_t left = lowered.size();
  auto emit = [&](size_t i, OutputKind what, llvm::raw_pwrite_stream &os) {
    return target->emit(*lowered[i], what, os, [&, i] {
      lowered[i] = {};
      if (--left)
        return;
      handler.reset();
      context.reset();
    });
  };
  if (llvm::Error error = write(*target, versions[0], lowered, *kind, emit))
    fail(ErrorKind::Compile, llvm::toString(std::move(error)));
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LNN_NO_CRASH_RECOVERY 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define LNN_NO_CRASH_RECOVERY 1
#endif

/// Handlers for signals are the process's: they are set while at least one
/// compilation runs.
class CrashGuard {
public:
  CrashGuard() {
    std::lock_guard<std::mutex> lock(mutex);
    if (users++ == 0)
      llvm::CrashRecoveryContext::Enable();
  }
  ~CrashGuard() {
    std::lock_guard<std::mutex> lock(mutex);
    if (--users == 0)
      llvm::CrashRecoveryContext::Disable();
  }

private:
  static std::mutex mutex;
  static unsigned users;
};
std::mutex CrashGuard::mutex;
unsigned CrashGuard::users = 0;

/// Models are untrusted and LLVM aborts where it is at a loss: an abort or a
/// fault while compiling ends the compilation, not the process. On a thread of
/// its own, whose stack is large whatever the caller's is.
CompileResult runGuarded(StringRef bytes, const CompileOptions &options,
                         std::unique_ptr<llvm::MemoryBuffer> file = nullptr) {
  auto *compilation = new Compilation(bytes, options, std::move(file));
#ifdef LNN_NO_CRASH_RECOVERY
  compilation->run();
#else
  CrashGuard guard;
  llvm::CrashRecoveryContext recovery;
  constexpr unsigned stackBytes = 64u << 20;
  if (!recovery.RunSafelyOnThread([&] { compilation->run(); }, stackBytes)) {
    CompileResult crashed;
    crashed.error = ErrorKind::Compile;
    crashed.diagnostics = compilation->result.diagnostics +
                          "error: the compiler crashed on this model; please "
                          "report it with the model\n";
    return crashed;
  }
#endif
  CompileResult result = std::move(compilation->result);
  delete compilation;
  return result;
}

} // namespace

CompileResult compileBuffer(StringRef bytes, const CompileOptions &options) {
  return runGuarded(bytes, options);
}

CompileResult compileFile(StringRef path, const CompileOptions &options) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/true);
  if (!buffer) {
    CompileResult result;
    result.error = ErrorKind::Input;
    result.diagnostics = "error: cannot read " + path.str() + ": " +
                         buffer.getError().message() + "\n";
    return result;
  }
  CompileOptions completed = options;
  if (completed.name.empty())
    completed.name = llvm::sys::path::stem(path).str();
  if (completed.baseDir.empty()) {
    completed.baseDir = llvm::sys::path::parent_path(path).str();
    if (completed.baseDir.empty())
      completed.baseDir = ".";
  }
  StringRef bytes = (*buffer)->getBuffer();
  return runGuarded(bytes, completed, std::move(*buffer));
}

} // namespace lnn
