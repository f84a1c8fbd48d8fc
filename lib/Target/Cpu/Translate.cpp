//===- Translate.cpp - --emit-object, --emit-llvm, --emit-assembly --------===//
#include "lnn/Target/Cpu/Cpu.h"

#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Tools/mlir-translate/Translation.h"

using namespace mlir;

namespace lnn {

void registerCpuTranslations() {
  auto add = [](StringRef name, StringRef description, EmitKind kind) {
    TranslateFromMLIRRegistration registration(
        name, description,
        [kind](Operation *op, llvm::raw_ostream &os) -> LogicalResult {
          auto module = dyn_cast<ModuleOp>(op);
          if (!module)
            return op->emitError("only a builtin.module can be emitted");
          SmallVector<char, 0> out;
          llvm::raw_svector_ostream stream(out);
          if (llvm::Error error = emit(module, kind, stream, [] {}))
            return module.emitError(llvm::toString(std::move(error)));
          os.write(out.data(), out.size());
          return success();
        },
        [](DialectRegistry &registry) {
          registry.insert<LLVM::LLVMDialect, DLTIDialect>();
          registerBuiltinDialectTranslation(registry);
          registerLLVMDialectTranslation(registry);
        });
  };
  add("emit-llvm",
      "print optimized LLVM IR of a module that lnn-cpu-pipeline lowered",
      EmitKind::LLVM);
  add("emit-assembly",
      "print assembly of a module that lnn-cpu-pipeline lowered",
      EmitKind::Assembly);
  add("emit-object",
      "write a relocatable object of a module that lnn-cpu-pipeline lowered",
      EmitKind::Object);
}

} // namespace lnn
