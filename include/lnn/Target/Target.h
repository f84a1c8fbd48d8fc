//===- Target.h - targets by name -------------------------------*- C++ -*-===//
//
// A target is a pipeline and an emitter. To add one: implement Target, and
// register it in lib/Target/Target.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_TARGET_TARGET_H
#define LNN_TARGET_TARGET_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace lnn {

/// What to write: a shared object, a relocatable object, LLVM IR, assembly, or
/// the module as lowered.
enum class OutputKind { SharedObject, Object, LLVM, Assembly, MLIR };

struct TargetOptions {
  std::string cpu, features;
  std::string soname; ///< of a shared object
  bool reroll = true; ///< unrolled loops of an imported model become loops
  bool raise = true;  ///< formulas that are a cell's equations become the cell
  bool foldFeedback = true; ///< constant feedback goes into recurrent matrices
  bool profile = false;     ///< runs count the time of the model's regions
  bool explainCodegen = false;  ///< a remark for each loop nest
  std::string weights = "f32";  ///< how matrices are stored: f32, bf16, int8
  std::string products = "f32"; ///< what they multiply: f32, bf16
  bool fastMath = false;        ///< elementary functions to within 1e-4
  std::vector<int64_t> block;   ///< rows and vectors of a block of loops
  std::string triple;           ///< the system; this one if empty
};

/// Writes one relocatable object.
using ObjectWriter = std::function<llvm::Error(llvm::raw_pwrite_stream &)>;

class Target {
public:
  virtual ~Target() = default;
  /// An error message, or an empty string: reported before anything is
  /// compiled.
  virtual std::string check(const TargetOptions &options) const = 0;
  virtual void buildPipeline(mlir::OpPassManager &pm,
                             const TargetOptions &options) const = 0;
  /// Emits a module that went through the pipeline, as anything but a shared
  /// object. Calls `release` once nothing of the module is needed any more: it
  /// may be gone from then on.
  virtual llvm::Error emit(mlir::ModuleOp module, OutputKind kind,
                           llvm::raw_pwrite_stream &out,
                           llvm::function_ref<void()> release) const = 0;
  /// Links objects to a shared object: one for each processor that it may find
  /// itself on.
  virtual llvm::Error link(llvm::ArrayRef<ObjectWriter> objects,
                           const TargetOptions &options,
                           std::vector<char> &out) const = 0;
};

/// The target of that name, or null.
const Target *lookupTarget(llvm::StringRef name);
/// Every target's name.
llvm::SmallVector<llvm::StringRef> targetNames();

} // namespace lnn
#endif // LNN_TARGET_TARGET_H
