//===- Target.cpp - targets by name ---------------------------------------===//
#include "lnn/Target/Target.h"

#include "lnn/Target/Cpu/Cpu.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

namespace lnn {
namespace {

class CpuTargetEntry : public Target {
  std::string check(const TargetOptions &options) const override {
    llvm::Expected<CpuTarget> target =
        CpuTarget::get(options.triple, options.cpu, options.features);
    return target ? std::string() : llvm::toString(target.takeError());
  }

  void buildPipeline(OpPassManager &pm,
                     const TargetOptions &options) const override {
    CpuPipelineOptions pipeline;
    pipeline.triple = options.triple;
    pipeline.block = options.block;
    pipeline.cpu = options.cpu;
    pipeline.features = options.features;
    pipeline.reroll = options.reroll;
    pipeline.raise = options.raise;
    pipeline.foldFeedback = options.foldFeedback;
    pipeline.profile = options.profile;
    pipeline.explainCodegen = options.explainCodegen;
    pipeline.weights = options.weights;
    pipeline.products = options.products;
    pipeline.fastMath = options.fastMath;
    buildCpuPipeline(pm, pipeline);
  }

  llvm::Error emit(ModuleOp module, OutputKind kind,
                   llvm::raw_pwrite_stream &out,
                   llvm::function_ref<void()> release) const override {
    EmitKind emitted = kind == OutputKind::LLVM       ? EmitKind::LLVM
                       : kind == OutputKind::Assembly ? EmitKind::Assembly
                                                      : EmitKind::Object;
    return lnn::emit(module, emitted, out, release);
  }

  llvm::Error link(llvm::ArrayRef<ObjectWriter> objects,
                   const TargetOptions &options,
                   std::vector<char> &out) const override {
    return linkSharedObject(objects, options.soname, out);
  }
};

struct Entry {
  llvm::StringRef name;
  const Target *target;
};

llvm::ArrayRef<Entry> entries() {
  static const CpuTargetEntry cpu;
  static const Entry all[] = {{"cpu", &cpu}};
  return all;
}

} // namespace

const Target *lookupTarget(llvm::StringRef name) {
  for (const Entry &entry : entries())
    if (entry.name == name)
      return entry.target;
  return nullptr;
}

llvm::SmallVector<llvm::StringRef> targetNames() {
  llvm::SmallVector<llvm::StringRef> names;
  for (const Entry &entry : entries())
    names.push_back(entry.name);
  return names;
}

} // namespace lnn
