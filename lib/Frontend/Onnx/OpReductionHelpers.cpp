//===- OpReductionHelpers.cpp - reductions over a mask of axes ------------===//
#include "OpReductionHelpers.h"

using namespace mlir;

namespace lnn::onnx {

Value addf(OpBuilder &b, Location loc, Value l, Value r) {
  return arith::AddFOp::create(b, loc, l, r);
}
Value subf(OpBuilder &b, Location loc, Value l, Value r) {
  return arith::SubFOp::create(b, loc, l, r);
}
Value mulf(OpBuilder &b, Location loc, Value l, Value r) {
  return arith::MulFOp::create(b, loc, l, r);
}
Value divf(OpBuilder &b, Location loc, Value l, Value r) {
  return arith::DivFOp::create(b, loc, l, r);
}
Value maxf(OpBuilder &b, Location loc, Value l, Value r) {
  return arith::MaximumFOp::create(b, loc, l, r);
}

SmallVector<Dim> kept(ArrayRef<Dim> dims, ArrayRef<bool> mask) {
  SmallVector<Dim> result;
  for (auto [dim, reduced] : llvm::zip(dims, mask))
    if (!reduced)
      result.push_back(dim);
  return result;
}
static SmallVector<Dim> reducedDims(ArrayRef<Dim> dims, ArrayRef<bool> mask) {
  SmallVector<Dim> result;
  for (auto [dim, reduced] : llvm::zip(dims, mask))
    if (reduced)
      result.push_back(dim);
  return result;
}

Value reduce(ExpandContext &ctx, ValueRange inputs,
             ArrayRef<AffineMap> inputMaps, ArrayRef<Dim> dims,
             ArrayRef<bool> mask, TypedAttr init, Body body) {
  SmallVector<AffineMap> maps(inputMaps);
  maps.push_back(droppedMap(ctx.b.getContext(), mask));
  return generic(ctx, inputs, maps, ctx.filled(kept(dims, mask), init),
                 [&](OpBuilder &b, Location loc, ValueRange args) {
                   SmallVector<Value> wide;
                   for (Value v : args)
                     wide.push_back(widen(b, loc, v));
                   return body(b, loc, wide);
                 });
}

Value mapWith(ExpandContext &ctx, ValueRange inputs, ArrayRef<AffineMap> reads,
              ArrayRef<Dim> dims, Type type, Body body) {
  SmallVector<AffineMap> maps(reads);
  maps.push_back(ctx.b.getMultiDimIdentityMap(dims.size()));
  return generic(ctx, inputs, maps, ctx.empty(dims, type),
                 [&](OpBuilder &b, Location loc, ValueRange args) {
                   SmallVector<Value> wide;
                   for (Value v : args.drop_back())
                     wide.push_back(widen(b, loc, v));
                   return narrow(b, loc, body(b, loc, wide), type);
                 });
}

Value countOf(ExpandContext &ctx, ArrayRef<Dim> dims, ArrayRef<bool> mask,
              Type type) {
  Dim count = toDim(ctx.dims, productOf(reducedDims(dims, mask)));
  if (count.isConst() && isa<FloatType>(type))
    return scalar(ctx.b, ctx.loc, type, count.value());
  if (count.isConst())
    return integer(ctx.b, ctx.loc, type, count.value());
  Value n = ctx.index(count);
  if (isa<IntegerType>(type))
    return arith::IndexCastOp::create(ctx.b, ctx.loc, type, n);
  n = arith::IndexCastOp::create(ctx.b, ctx.loc, ctx.b.getI64Type(), n);
  return arith::SIToFPOp::create(ctx.b, ctx.loc, type, n);
}

} // namespace lnn::onnx
