//===- OpContraction.cpp - sums of products -------------------------------===//
#include "OpContraction.h"

using namespace mlir;

namespace lnn::onnx {

bool isProductType(Type type) {
  return isFloat(type) || type.isInteger(32) || type.isInteger(64);
}

/// acc + l * r in the accumulator's type.
static Value multiplyAdd(OpBuilder &b, Location loc, ValueRange args) {
  Value l = widen(b, loc, args[0]), r = widen(b, loc, args[1]);
  if (isa<FloatType>(l.getType()))
    return arith::AddFOp::create(b, loc, args[2],
                                 arith::MulFOp::create(b, loc, l, r));
  return arith::AddIOp::create(b, loc, args[2],
                               arith::MulIOp::create(b, loc, l, r));
}

Value contract(ExpandContext &ctx, Value l, Value r, ArrayRef<AffineMap> maps,
               ArrayRef<Dim> dims, Type type) {
  Value zero = ctx.filled(dims, scalarAttr(type, 0));
  return generic(ctx, {l, r}, maps, zero, multiplyAdd);
}

Value store(ExpandContext &ctx, Value v, ArrayRef<Dim> dims, Type type) {
  if (cast<RankedTensorType>(v.getType()).getElementType() == type)
    return v;
  AffineMap identity = ctx.b.getMultiDimIdentityMap(dims.size());
  return generic(ctx, v, {identity, identity}, ctx.empty(dims, type),
                 [&](OpBuilder &b, Location loc, ValueRange args) {
                   return narrow(b, loc, args[0], type);
                 });
}

} // namespace lnn::onnx
