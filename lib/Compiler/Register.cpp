//===- Register.cpp - every dialect and pass the compiler needs -----------===//
#include "lnn/Compiler/Compiler.h"

#include "lnn/Codegen/Passes.h"
#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Profile/Passes.h"
#include "lnn/Streaming/Passes.h"
#include "lnn/Target/Cpu/Cpu.h"
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Raise/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

namespace lnn {

void registerAllDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  registry.insert<LnnDialect, ode::OdeDialect, onnx::OnnxDialect>();
}

void registerAllPasses() {
  mlir::registerAllPasses();
  registerLnnCodegenPasses();
  registerLnnConversionPasses();
  registerLnnTransformsPasses();
  registerLnnRaisePasses();
  registerRaisePipeline();
  registerLnnStreamingPasses();
  registerLnnProfilePasses();
  registerLnnTargetCpuPasses();
  registerCpuPipeline();
}

} // namespace lnn
