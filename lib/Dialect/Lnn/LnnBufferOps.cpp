//===- LnnBufferOps.cpp - verifiers of the operations on buffers ----------===//
#include "lnn/Dialect/Lnn/Lnn.h"

using namespace mlir;
using namespace lnn;

/// One operand for each dynamic size, and a layout the border can describe.
template <typename OpT> static LogicalResult verifyBuffer(OpT op) {
  auto type = cast<MemRefType>(op.getBuffer().getType());
  if (!type.getLayout().isIdentity())
    return op.emitOpError("needs a buffer of identity layout, found ") << type;
  int64_t dynamic = type.getNumDynamicDims();
  if (dynamic != static_cast<int64_t>(op.getSizes().size()))
    return op.emitOpError("has ")
           << op.getSizes().size() << " sizes, but " << type << " has "
           << dynamic << " dynamic dimensions";
  return success();
}

LogicalResult OutputOp::verify() { return verifyBuffer(*this); }
LogicalResult ScratchOp::verify() { return verifyBuffer(*this); }
