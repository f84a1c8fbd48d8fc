//===- Cpu.h - the CPU target -----------------------------------*- C++ -*-===//
#ifndef LNN_TARGET_CPU_CPU_H
#define LNN_TARGET_CPU_CPU_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace lnn {

#define GEN_PASS_DECL
#include "lnn/Target/Cpu/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Target/Cpu/Passes.h.inc"

/// A processor, its name and features as LLVM's.
struct CpuTarget {
  std::string triple, cpu, features;

  /// Resolves "native", this machine's triple and processor; with another
  /// triple that is its architecture's generic processor. An error names a
  /// triple, a processor or a feature that doesn't exist.
  static llvm::Expected<CpuTarget>
  get(llvm::StringRef triple, llvm::StringRef cpu, llvm::StringRef features);
  llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createMachine() const;
  /// f32 lanes of its widest vectors: 16, 8, 4 or 1.
  unsigned lanes() const;
  /// True where it has AVX-512 F, VL and DQ.
  bool hasAvx512() const;
  /// True where it has matrix tiles of bf16.
  bool hasTiles() const;
  /// True where it adds two products of bf16 at once, in vectors of any width.
  bool hasPairs() const;
  /// True where it adds four products of 8-bit integers at once.
  bool hasQuads() const;
  /// True where it has instructions between f16 and f32.
  bool convertsHalf() const;
  /// The features code for it may need beyond the baseline, comma separated.
  std::string required() const;
};

/// Options of lnn-cpu-pipeline.
struct CpuPipelineOptions
    : public mlir::PassPipelineOptions<CpuPipelineOptions> {
  Option<std::string> triple{
      *this, "triple",
      llvm::cl::desc("the system, as -mtriple of llc: aarch64-linux-gnu"),
      llvm::cl::init("native")};
  Option<std::string> cpu{*this, "cpu",
                          llvm::cl::desc("the processor, as -mcpu of llc"),
                          llvm::cl::init("native")};
  Option<std::string> features{*this, "features",
                               llvm::cl::desc("its features, as -mattr of llc"),
                               llvm::cl::init("")};
  Option<unsigned> lanes{
      *this, "lanes",
      llvm::cl::desc(
          "f32 lanes of a vector; 0 is the widest the processor has"),
      llvm::cl::init(0)};
  Option<bool> reroll{
      *this, "reroll",
      llvm::cl::desc(
          "turn unrolled loops of an imported model back into loops"),
      llvm::cl::init(true)};
  Option<bool> raise{
      *this, "raise",
      llvm::cl::desc("turn formulas that are a cell's equations into the cell"),
      llvm::cl::init(true)};
  Option<bool> foldFeedback{
      *this, "fold-feedback",
      llvm::cl::desc("compose constant feedback into recurrent matrices"),
      llvm::cl::init(true)};
  Option<bool> split{
      *this, "split",
      llvm::cl::desc("let threads compute parts of a batch, where rows are "
                     "independent"),
      llvm::cl::init(true)};
  Option<bool> profile{
      *this, "profile",
      llvm::cl::desc("count time, operations and bytes of the model's regions"),
      llvm::cl::init(false)};
  Option<bool> explainCodegen{
      *this, "explain-codegen",
      llvm::cl::desc("a remark for each loop nest: what became lanes and "
                     "blocks, and what an iteration costs"),
      llvm::cl::init(false)};
  ListOption<int64_t> block{
      *this, "block",
      llvm::cl::desc("rows and vectors of a block of loops; 0 leaves one to "
                     "the cost model")};
  Option<std::string> weights{
      *this, "weights",
      llvm::cl::desc("how constant matrices are stored: f32, bf16 or int8"),
      llvm::cl::init("f32")};
  Option<std::string> products{
      *this, "products",
      llvm::cl::desc(
          "what products with constant matrices multiply, sums being "
          "of f32: f32 or bf16"),
      llvm::cl::init("f32")};
  Option<bool> fastMath{*this, "fast-math",
                        llvm::cl::desc("elementary functions to within 1e-4"),
                        llvm::cl::init(false)};
};

/// From the onnx level, or any level below, to the LLVM dialect.
void buildCpuPipeline(mlir::OpPassManager &pm,
                      const CpuPipelineOptions &options);
void registerCpuPipeline();

/// LLVM IR of a module that went through the pipeline, descriptor included, not
/// yet optimized. Problems are diagnostics at the module; null then.
std::unique_ptr<llvm::Module> translateToLLVM(mlir::ModuleOp module,
                                              llvm::LLVMContext &context);
/// Masked accesses to vectors of f16 and bf16 become ones of i16.
void maskHalvesAsIntegers(llvm::Module &module);
/// Adds the descriptor (lnn/runtime/artifact_abi.h) and the function that
/// returns it.
void addDescriptor(mlir::ModuleOp module, llvm::Module &llvmModule,
                   const CpuTarget &target);

enum class EmitKind { LLVM, Assembly, Object };
/// Optimizes and emits. `release` is called once nothing of the module is
/// needed any more: weights are large, and the caller may give theirs back.
llvm::Error emit(mlir::ModuleOp module, EmitKind kind,
                 llvm::raw_pwrite_stream &out,
                 llvm::function_ref<void()> release);

/// Links relocatable objects to a shared object, in this process.
llvm::Error linkSharedObject(
    llvm::ArrayRef<std::function<llvm::Error(llvm::raw_pwrite_stream &)>>
        objects,
    llvm::StringRef soname, std::vector<char> &out);

/// Registers --emit-object, --emit-llvm and --emit-assembly with
/// mlir-translate's registry.
void registerCpuTranslations();

} // namespace lnn
#endif // LNN_TARGET_CPU_CPU_H
