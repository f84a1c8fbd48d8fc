//===- Emit.cpp - LLVM IR, assembly and objects ---------------------------===//
#include "lnn/Target/Cpu/Cpu.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace lnn {

std::unique_ptr<llvm::Module> translateToLLVM(ModuleOp module,
                                              llvm::LLVMContext &context) {
  auto text = [&](StringRef name) {
    auto attribute = module->getAttrOfType<StringAttr>(name);
    return attribute ? attribute.getValue().str() : std::string();
  };
  if (!module->hasAttr("lnn.triple") || !module->hasAttr("lnn.outputs") ||
      !module.lookupSymbol<LLVM::LLVMFuncOp>("lnn_run") ||
      !module.lookupSymbol<LLVM::LLVMFuncOp>("lnn_sizes")) {
    module.emitError("the module has not been lowered for a target; run "
                     "lnn-opt --lnn-cpu-pipeline on it first");
    return nullptr;
  }
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "lnn");
  if (!result) {
    module.emitError("the module could not be translated to LLVM IR");
    return nullptr;
  }
  addDescriptor(
      module, *result,
      CpuTarget{text("lnn.triple"), text("lnn.cpu"), text("lnn.features")});
  return result;
}

/// What generated code may leave to the C library of the process that loads it.
static bool mayStayUndefined(StringRef name) {
  static const llvm::StringSet<> known{"memcpy", "memmove", "memset", "memcmp",
                                       "bcmp"};
  return known.contains(name);
}

static llvm::Error checkSymbols(const llvm::Module &llvmModule) {
  for (const llvm::Function &function : llvmModule)
    if (function.isDeclaration() && !function.isIntrinsic() &&
        !function.use_empty() && !mayStayUndefined(function.getName()))
      return llvm::createStringError("the generated code needs a function '" +
                                     function.getName() +
                                     "' that nothing provides");
  return llvm::Error::success();
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false; // loops worth it are vectors already
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(module, modules);
}

/// LLVM reports what it cannot select through its context: an error there is
/// one of the compilation, not of the process.
static void collect(const llvm::DiagnosticInfo *info, void *data) {
  if (info->getSeverity() != llvm::DS_Error)
    return;
  llvm::raw_string_ostream os(*static_cast<std::string *>(data));
  llvm::DiagnosticPrinterRawOStream printer(os);
  info->print(printer);
  os << '\n';
}

llvm::Error emit(ModuleOp module, EmitKind kind, llvm::raw_pwrite_stream &out,
                 llvm::function_ref<void()> release) {
  llvm::LLVMContext context;
  std::string errors;
  context.setDiagnosticHandlerCallBack(collect, &errors);
  std::unique_ptr<llvm::Module> llvmModule = translateToLLVM(module, context);
  if (!llvmModule)
    return llvm::createStringError("there is no LLVM IR of the module");
  auto text = [&](StringRef name) {
    return module->getAttrOfType<StringAttr>(name).getValue().str();
  };
  CpuTarget target{text("lnn.triple"), text("lnn.cpu"), text("lnn.features")};
  release();
  auto machine = target.createMachine();
  if (!machine)
    return machine.takeError();
  llvmModule->setTargetTriple(llvm::Triple(target.triple));
  llvmModule->setDataLayout((*machine)->createDataLayout());
  for (llvm::Function &function : *llvmModule)
    function.addFnAttr(llvm::Attribute::NoUnwind);
  maskHalvesAsIntegers(*llvmModule);
  optimize(*llvmModule, **machine);
  if (llvm::Error error = checkSymbols(*llvmModule))
    return error;
  if (kind == EmitKind::LLVM) {
    llvmModule->print(out, nullptr);
    return llvm::Error::success();
  }
  llvm::legacy::PassManager passes;
  passes.add(llvm::createTargetTransformInfoWrapperPass(
      (*machine)->getTargetIRAnalysis()));
  auto type = kind == EmitKind::Object ? llvm::CodeGenFileType::ObjectFile
                                       : llvm::CodeGenFileType::AssemblyFile;
  if ((*machine)->addPassesToEmitFile(passes, out, nullptr, type))
    return llvm::createStringError("LLVM cannot emit this kind of file for " +
                                   target.triple);
  passes.run(*llvmModule);
  if (!errors.empty())
    return llvm::createStringError("code generation failed: " + errors);
  return llvm::Error::success();
}

} // namespace lnn
