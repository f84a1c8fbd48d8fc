//===- Lnn.cpp - the dialect of networks ----------------------------------===//
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Dialect/Lnn/Profile.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace lnn;

#include "lnn/Dialect/Lnn/LnnDialect.cpp.inc"
#define GET_OP_CLASSES
#include "lnn/Dialect/Lnn/LnnOps.cpp.inc"

void LnnDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "lnn/Dialect/Lnn/LnnOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "lnn/Dialect/Lnn/LnnProfile.cpp.inc"
      >();
  registerCells();
  registerAttributes();
}

Operation *LnnDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                           Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}
