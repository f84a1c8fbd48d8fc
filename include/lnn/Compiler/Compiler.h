//===- Compiler.h - the facade every entry point calls ----------*- C++ -*-===//
//
// compile(source, options) -> artifact. lnnc, the Python module and the tools'
// pipelines all go through here.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_COMPILER_COMPILER_H
#define LNN_COMPILER_COMPILER_H

#include "lnn/Frontend/Onnx/Frozen.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mlir {
class DialectRegistry;
class MLIRContext;
class ModuleOp;
class OpPassManager;
template <typename T> class OwningOpRef;
} // namespace mlir

namespace lnn {

/// What went wrong, by kind: what a caller may want to tell apart.
enum class ErrorKind { None, Compile, Unsupported, Input };

struct CompileOptions {
  std::string target = "cpu";
  std::string triple; ///< as -mtriple of llc; this system's if empty
  /// As -mcpu of llc; "native" is this machine's. Several, separated by commas:
  /// a version for each, of which the one that runs is chosen at load.
  std::string cpu = "native";
  std::string features; ///< as -mattr of llc
  std::string name;     ///< the model's; the file's stem if empty
  std::string baseDir;  ///< folder of external tensor data, for models not read
                        ///< from a file
  std::vector<std::pair<std::string, std::string>>
      states;         ///< input -> output pairs that names don't say
  bool reroll = true; ///< turn what an exporter unrolled (time, solver steps)
                      ///< back into loops
  bool raise = true;  ///< turn formulas that are a cell's equations into the
                      ///< cell
  bool foldFeedback = true; ///< compose constant feedback into recurrent
                            ///< matrices
  std::vector<std::pair<std::string, int64_t>>
      sizes; ///< dynamic sizes of an ONNX model's inputs that get a value
  std::vector<onnx::FrozenInput>
      frozen; ///< inputs of an ONNX model that are constants of this value
  std::vector<std::string> dynamic; ///< sizes that the export fixed and that
                                    ///< are to vary: input:axis=name
  bool streaming = false; ///< states that start from zeros inside of the model
                          ///< become arguments and results
  bool explainCodegen = false;  ///< a remark for each loop nest of the code
  std::vector<int64_t> block;   ///< rows and vectors of a block of loops, where
                                ///< the cost model is not to choose (0: it is)
  std::string weights = "f32";  ///< how constant matrices are stored: f32, bf16
                                ///< or int8
  std::string products = "f32"; ///< what products with constant matrices
                                ///< multiply, sums being of f32: f32 or bf16
  std::string math = "accurate"; ///< elementary functions: accurate (2 ulp) or
                                 ///< fast (1e-4)
  bool profile = false; ///< count the time of the model's regions in each run
  std::string emit =
      "so"; ///< what the artifact is: so, obj, llvm, asm or mlir (as lowered)
};

struct Artifact {
  std::vector<char>
      bytes; ///< a shared object (see lnn/runtime/artifact_abi.h), or what
             ///< CompileOptions::emit says
};

struct CompileResult {
  ErrorKind error = ErrorKind::None;
  std::string diagnostics; ///< errors, one a line or more, as a tool prints
                           ///< them; warnings too
  Artifact artifact;
  explicit operator bool() const { return error == ErrorKind::None; }
};

/// Registers every dialect, interface and translation the compiler needs.
void registerAllDialects(mlir::DialectRegistry &registry);
/// Registers every pass and pipeline of ours (lnn-cpu-pipeline among them) and
/// the upstream ones we use.
void registerAllPasses();

/// Compiles an .onnx file, or .mlir text, by its content.
CompileResult compileFile(llvm::StringRef path, const CompileOptions &options);
/// Compiles a model in memory: an ONNX protobuf or .mlir text.
CompileResult compileBuffer(llvm::StringRef bytes,
                            const CompileOptions &options);

} // namespace lnn
#endif // LNN_COMPILER_COMPILER_H
