//===- AttachCpu.cpp - which processor code is for ------------------------===//
#include "lnn/Target/Cpu/Cpu.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <mutex>

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNATTACHCPUPASS
#include "lnn/Target/Cpu/Passes.h.inc"

static void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
  });
}

static std::string hostFeatures() {
  std::string features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    features += (features.empty() ? "" : ",") +
                std::string(feature.second ? "+" : "-") + feature.first().str();
  return features;
}

static llvm::Error invalid(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// LLVM only warns of a feature it doesn't know; a misspelt one must not go by.
static llvm::Error checkFeatures(const llvm::MCSubtargetInfo &info,
                                 llvm::StringRef features) {
  llvm::SmallVector<llvm::StringRef> parts;
  features.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef part : parts) {
    llvm::StringRef name = part;
    if (!name.consume_front("+") && !name.consume_front("-"))
      return invalid("feature '" + part + "' must begin with + or -");
    if (llvm::none_of(info.getAllProcessorFeatures(),
                      [&](const llvm::SubtargetFeatureKV &known) {
                        return name == known.Key;
                      }))
      return invalid("no feature '" + name +
                     "' on this architecture; llc -mattr=help lists them");
  }
  return llvm::Error::success();
}

llvm::Expected<CpuTarget> CpuTarget::get(llvm::StringRef system,
                                         llvm::StringRef cpu,
                                         llvm::StringRef features) {
  initializeTargets();
  CpuTarget target;
  std::string host = llvm::sys::getDefaultTargetTriple();
  bool here =
      system.empty() || system == "native" ||
      llvm::Triple(llvm::Triple::normalize(system)) == llvm::Triple(host);
  target.triple = here ? host : llvm::Triple::normalize(system);
  bool unnamed = cpu.empty() || cpu == "native", native = unnamed && here;
  target.cpu = native    ? llvm::sys::getHostCPUName().str()
               : unnamed ? "generic"
                         : cpu.str();
  llvm::Triple triple(target.triple);
  bool known = triple.getArch() == llvm::Triple::x86_64 ||
               triple.getArch() == llvm::Triple::aarch64;
  if (!known || !triple.isOSLinux())
    return invalid("the target cpu is Linux on x86_64 or aarch64, not '" +
                   system + "'");
  std::string error;
  const llvm::Target *llvmTarget =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!llvmTarget)
    return invalid(error);
  std::unique_ptr<llvm::MCSubtargetInfo> info(
      llvmTarget->createMCSubtargetInfo(triple, "", ""));
  if (!unnamed && !info->isCPUStringValid(target.cpu))
    return invalid("no processor '" + cpu + "' on " + triple.getArchName() +
                   "; llc -mcpu=help lists them");
  if (llvm::Error bad = checkFeatures(*info, features))
    return bad;
  if (native)
    target.features = hostFeatures();
  if (!features.empty())
    target.features += (target.features.empty() ? "" : ",") + features.str();
  return target;
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
CpuTarget::createMachine() const {
  initializeTargets();
  llvm::Triple llvmTriple(triple);
  std::string error;
  const llvm::Target *llvmTarget =
      llvm::TargetRegistry::lookupTarget(llvmTriple, error);
  if (!llvmTarget)
    return invalid(error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  options.FunctionSections = options.DataSections = true;
  std::unique_ptr<llvm::TargetMachine> machine(llvmTarget->createTargetMachine(
      llvmTriple, cpu, features, options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Default));
  if (!machine)
    return invalid("LLVM cannot generate code for " + triple);
  return machine;
}

static std::unique_ptr<llvm::MCSubtargetInfo>
subtarget(const CpuTarget &target) {
  initializeTargets();
  std::string error;
  llvm::Triple triple(target.triple);
  const llvm::Target *llvmTarget =
      llvm::TargetRegistry::lookupTarget(triple, error);
  return llvmTarget ? std::unique_ptr<llvm::MCSubtargetInfo>(
                          llvmTarget->createMCSubtargetInfo(triple, target.cpu,
                                                            target.features))
                    : nullptr;
}

unsigned CpuTarget::lanes() const {
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  if (!info)
    return 1;
  if (!llvm::Triple(triple).isX86())
    return 4;
  return info->checkFeatures("+avx512f") ? 16
         : info->checkFeatures("+avx")   ? 8
                                         : 4;
}

bool CpuTarget::hasAvx512() const {
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  return info && llvm::Triple(triple).isX86() &&
         info->checkFeatures("+avx512f,+avx512vl,+avx512dq");
}

bool CpuTarget::hasTiles() const {
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  return info && llvm::Triple(triple).isX86() &&
         info->checkFeatures("+amx-tile,+amx-bf16");
}

bool CpuTarget::hasPairs() const {
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  return info && llvm::Triple(triple).isX86() &&
         info->checkFeatures("+avx512bf16,+avx512vl");
}

bool CpuTarget::hasQuads() const {
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  return info && llvm::Triple(triple).isX86() &&
         (info->checkFeatures("+avx512vnni,+avx512vl") ||
          info->checkFeatures("+avxvnni"));
}

bool CpuTarget::convertsHalf() const {
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  llvm::Triple parsed(triple);
  return parsed.isAArch64() ||
         (info && parsed.isX86() && info->checkFeatures("+f16c"));
}

std::string CpuTarget::required() const {
  static constexpr llvm::StringLiteral known[] = {
      "sse3",        "ssse3",      "sse4.1",       "sse4.2",
      "popcnt",      "avx",        "avx2",         "bmi",
      "bmi2",        "fma",        "f16c",         "lzcnt",
      "movbe",       "avx512f",    "avx512bw",     "avx512cd",
      "avx512dq",    "avx512vl",   "avx512ifma",   "avx512vbmi",
      "avx512vbmi2", "avx512vnni", "avx512bitalg", "avx512vpopcntdq",
      "avx512bf16",  "avx512fp16", "avxvnni",      "gfni",
      "vaes",        "vpclmulqdq"};
  std::unique_ptr<llvm::MCSubtargetInfo> info = subtarget(*this);
  std::string names;
  if (info && llvm::Triple(triple).isX86())
    for (llvm::StringRef name : known)
      if (info->checkFeatures("+" + name.str()))
        names += (names.empty() ? "" : ",") + name.str();
  return names;
}

namespace {
struct AttachCpuPass : impl::LnnAttachCpuPassBase<AttachCpuPass> {
  using LnnAttachCpuPassBase::LnnAttachCpuPassBase;

  void runOnOperation() override {
    llvm::Expected<CpuTarget> target = CpuTarget::get(triple, cpu, features);
    if (!target) {
      getOperation().emitError(llvm::toString(target.takeError()));
      return signalPassFailure();
    }
    Builder b(&getContext());
    getOperation()->setAttr("lnn.triple", b.getStringAttr(target->triple));
    getOperation()->setAttr("lnn.cpu", b.getStringAttr(target->cpu));
    getOperation()->setAttr("lnn.features", b.getStringAttr(target->features));
    auto isShape = [](int64_t count) { return count >= 0 && count <= 16; };
    if (!block.empty() &&
        (block.size() != 2 || !llvm::all_of(block, isShape))) {
      getOperation().emitError("block takes rows and vectors, each up to 16");
      return signalPassFailure();
    }
    if (!block.empty())
      getOperation()->setAttr("lnn.block", b.getDenseI64ArrayAttr(block));
  }
};
} // namespace
} // namespace lnn
