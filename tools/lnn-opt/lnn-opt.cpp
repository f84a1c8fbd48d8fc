//===- lnn-opt.cpp - run passes over lnn IR -------------------------------===//
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Dialect/Onnx/Onnx.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<lnn::LnnDialect, lnn::ode::OdeDialect, lnn::onnx::OnnxDialect>();
  mlir::registerAllPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "lnn optimizer driver\n", registry));
}
