//===- lnn-opt.cpp - run passes over lnn IR -------------------------------===//
#include "lnn/Compiler/Compiler.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  lnn::registerAllDialects(registry);
  lnn::registerAllPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "lnn optimizer driver\n", registry));
}
