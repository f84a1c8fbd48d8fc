//===- Ode.cpp - the dialect of dynamics ----------------------------------===//
#include "lnn/Dialect/Ode/Ode.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lnn::ode;

#include "lnn/Dialect/Ode/OdeDialect.cpp.inc"

void OdeDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "lnn/Dialect/Ode/OdeOps.cpp.inc"
      >();
  registerAttributes();
}
