//===- LnnBufferOps.cpp - verifiers of the operations on buffers ----------===//
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

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

// (C1)
LogicalResult StartOp::verify() {
  auto generic = dyn_cast<linalg::GenericOp>((*this)->getParentOp());
  if (!generic)
    return emitOpError("must be in the body of a linalg.generic");
  Block *body = &generic.getRegion().front();
  auto positionOf = [&](Value value) -> int64_t {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getOwner() == body ? argument.getArgNumber()
                                                   : -1;
  };
  int64_t inputs = generic.getNumDpsInputs(),
          accumulator = positionOf(getAccumulator()),
          value = positionOf(getValue());
  if (accumulator < inputs)
    return emitOpError("needs an output's argument of the body to start");
  if (value < 0 || value >= inputs)
    return emitOpError("needs an input's argument of the body to start from");
  AffineMap map = generic.getIndexingMapsArray()[value];
  for (auto [d, kind] : llvm::enumerate(generic.getIteratorTypesArray()))
    if (kind != utils::IteratorType::parallel && map.isFunctionOfDim(d))
      return emitOpError("starts from input ")
             << value << ", which varies in reduction " << d;
  return success();
}
