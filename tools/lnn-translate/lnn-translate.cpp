//===- lnn-translate.cpp - ONNX in; objects, LLVM IR and assembly out -----===//
#include "lnn/Frontend/Onnx/Import.h"
#include "lnn/Target/Cpu/Cpu.h"

#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

int main(int argc, char **argv) {
  lnn::onnx::registerTranslations();
  lnn::registerCpuTranslations();
  return mlir::failed(
      mlir::mlirTranslateMain(argc, argv, "lnn translation driver"));
}
