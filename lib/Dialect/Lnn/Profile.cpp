//===- Profile.cpp - measuring operations of the lnn dialect --------------===//
#include "lnn/Dialect/Lnn/Profile.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace lnn;

#define GET_OP_CLASSES
#include "lnn/Dialect/Lnn/LnnProfile.cpp.inc"
