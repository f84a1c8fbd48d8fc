//===- Edit.cpp - small changes to a graph of onnx.node -------------------===//
#include "lnn/Streaming/Edit.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace lnn::onnx;

Value lnn::streaming::integers(OpBuilder &b, Location loc,
                               ArrayRef<int64_t> values, bool scalar) {
  SmallVector<int64_t> shape;
  if (!scalar)
    shape.push_back(values.size());
  auto type = RankedTensorType::get(shape, b.getI64Type());
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, values));
}

Value lnn::streaming::node(OpBuilder &b, Location loc, StringRef type,
                           ValueRange inputs, Type result,
                           ArrayRef<NamedAttribute> attributes) {
  auto op = NodeOp::create(b, loc, TypeRange(result), inputs,
                           b.getStringAttr(type), StringAttr(), kOpset,
                           b.getDictionaryAttr(attributes), ArrayAttr(), 0);
  return op.getOutputs()[0];
}

std::optional<SmallVector<int64_t>> lnn::streaming::integersOf(Value v) {
  auto constant = v.getDefiningOp<arith::ConstantOp>();
  auto dense = constant ? dyn_cast<DenseIntElementsAttr>(constant.getValue())
                        : DenseIntElementsAttr();
  if (!dense || dense.getNumElements() > (1 << 16))
    return std::nullopt;
  SmallVector<int64_t> values;
  for (const APInt &value : dense.getValues<APInt>())
    values.push_back(value.getSExtValue());
  return values;
}

Value lnn::streaming::slice(OpBuilder &b, Location loc, Value v, int64_t axis,
                            int64_t begin, int64_t end, Type result) {
  return node(b, loc, "Slice",
              {v, integers(b, loc, {begin}), integers(b, loc, {end}),
               integers(b, loc, {axis})},
              result);
}

StringRef lnn::streaming::nameOf(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return name.getName().getValue();
  if (auto fused = dyn_cast<FusedLoc>(op->getLoc()))
    for (Location part : fused.getLocations())
      if (auto name = dyn_cast<NameLoc>(part))
        return name.getName().getValue();
  return "";
}
