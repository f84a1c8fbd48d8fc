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
        CpuTarget::get(options.cpu, options.features);
    return target ? std::string() : llvm::toString(target.takeError());
  }

  void buildPipeline(OpPassManager &pm,
                     const TargetOptions &options) const override {
    CpuPipelineOptions pipeline;
    pipeline.cpu = options.cpu;
    pipeline.features = options.features;
    pipeline.reroll = options.reroll;
    pipeline.raise = options.raise;
    pipeline.foldFeedback = options.foldFeedback;
    buildCpuPipeline(pm, pipeline);
  }

  LogicalResult emit(ModuleOp module, OutputKind kind,
                     const TargetOptions &options,
                     std::vector<char> &out) const override {
    SmallVector<char, 0> bytes;
    EmitKind emitted = kind == OutputKind::LLVM       ? EmitKind::LLVM
                       : kind == OutputKind::Assembly ? EmitKind::Assembly
                                                      : EmitKind::Object;
    if (failed(lnn::emit(module, emitted, bytes)))
      return failure();
    if (kind != OutputKind::SharedObject) {
      out.assign(bytes.begin(), bytes.end());
      return success();
    }
    std::string error;
    if (!linkSharedObject(bytes, options.soname, out, error))
      return module.emitError("linking failed: ") << error;
    return success();
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
