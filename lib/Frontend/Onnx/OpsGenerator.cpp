//===- OpsGenerator.cpp - tensors made of numbers
//---------------------------===//
//
// ConstantOfShape, Range, OneHot and EyeLike.
//
//===----------------------------------------------------------------------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// ConstantOfShape, Range, OneHot, EyeLike
//===----------------------------------------------------------------------===//

LogicalResult inferConstantOfShape(InferContext &ctx) {
  const SmallVector<Dim> *shape = dataOf(ctx, 0);
  if (!shape)
    return ctx.unsupported("the shape (input 0) must be known from constants "
                           "and the sizes of inputs");
  ValueInfo &out = ctx.out(0);
  ElementsAttr value = ctx.tensorAttr("value");
  if (value && value.getNumElements() != 1)
    return ctx.error("value must have one element");
  out.elementType = value ? value.getElementType()
                          : Type(Float32Type::get(ctx.op.getContext()));
  for (Dim d : *shape) {
    if (d.isConst() && d.value() < 0)
      return ctx.error("the shape holds " + Twine(d.value()));
    out.dims.push_back(d);
  }
  std::optional<SmallVector<int64_t>> number = integersOf(value);
  if (!number || out.rank() > 1 ||
      (out.rank() == 1 &&
       (!out.dims[0].isConst() || out.dims[0].value() > 1024)))
    return success();
  setData(out, SmallVector<Dim>(out.rank() ? out.dims[0].value() : 1,
                                ctx.c((*number)[0])));
  return success();
}

LogicalResult expandConstantOfShape(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  checkNonNegative(ctx, out.dims);
  Type element = ExpandContext::converted(out.elementType);
  TypedAttr fill = scalarAttr(element, 0);
  if (ElementsAttr value = ctx.tensorAttr("value"))
    fill = elementOf(value, element);
  if (!fill)
    return ctx.error("value cannot be read");
  give(ctx, 0, ctx.filled(out.dims, fill));
  return success();
}

LogicalResult inferRange(InferContext &ctx) {
  for (unsigned i : {1u, 2u})
    if (failed(sameElementType(ctx, 0, i)))
      return failure();
  ValueInfo &out = ctx.out(0);
  out.elementType = ctx.in(0).elementType;
  const SmallVector<Dim> *s = dataOf(ctx, 0), *l = dataOf(ctx, 1),
                         *d = dataOf(ctx, 2);
  if (s && l && d && s->size() == 1 && l->size() == 1 && d->size() == 1 &&
      (*d)[0].isConst() && (*d)[0].value() != 0) {
    Dim start = (*s)[0], limit = (*l)[0];
    int64_t delta = (*d)[0].value();
    Dim span = delta > 0 ? subDims(ctx.dims, limit, start)
                         : subDims(ctx.dims, start, limit);
    if (!span || delta == INT64_MIN)
      return ctx.error("the bounds overflow");
    Dim count = maxDims(
        ctx.dims, steps(ctx.dims, span, delta > 0 ? delta : -delta), ctx.c(0));
    out.dims = {count};
    SmallVector<Dim> data;
    for (int64_t i = 0;
         count.isConst() && count.value() <= 1024 && i < count.value(); ++i)
      data.push_back(
          addDims(ctx.dims, start, mulDims(ctx.dims, ctx.c(i), ctx.c(delta))));
    setData(out, std::move(data));
    return success();
  }
  auto start = numberOf(ctx.in(0)), limit = numberOf(ctx.in(1)),
       delta = numberOf(ctx.in(2));
  if (!start || !limit || !delta)
    return ctx.unsupported("start, limit and delta must be known from "
                           "constants and the sizes of inputs");
  double count = std::ceil((*limit - *start) / *delta);
  if (!(count < 1e12))
    return ctx.error("the range has no end");
  out.dims = {ctx.c(std::max(0.0, count))};
  return success();
}

LogicalResult expandRange(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  Value bounds[2];
  for (unsigned i : {0u, 2u})
    bounds[i / 2] = tensor::ExtractOp::create(
        ctx.b, ctx.loc, reshape(ctx, input(ctx, i), ctx.inInfo(i).dims, {}),
        ValueRange());
  Type type = computeType(out.elementType);
  Value result = generate(
      ctx, out, [&](OpBuilder &b, Location loc, ValueRange at) -> Value {
        Value start = widen(b, loc, bounds[0]),
              delta = widen(b, loc, bounds[1]);
        if (!isa<FloatType>(type)) {
          Value i = arith::IndexCastOp::create(b, loc, type, at[0]);
          return arith::AddIOp::create(b, loc, start,
                                       arith::MulIOp::create(b, loc, i, delta));
        }
        Value i = arith::IndexCastOp::create(b, loc, b.getI64Type(), at[0]);
        i = arith::SIToFPOp::create(b, loc, type, i);
        Value v = arith::AddFOp::create(
            b, loc, start, arith::MulFOp::create(b, loc, i, delta));
        return narrow(b, loc, v, ExpandContext::converted(out.elementType));
      });
  give(ctx, 0, result);
  return success();
}

LogicalResult inferOneHot(InferContext &ctx) {
  const ValueInfo &indices = ctx.in(0), &values = ctx.in(2);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", -1), indices.rank() + 1);
  if (failed(axis))
    return failure();
  const SmallVector<Dim> *data = dataOf(ctx, 1);
  Dim depth = data && data->size() == 1 ? (*data)[0] : Dim();
  if (auto number = depth ? std::nullopt : numberOf(ctx.in(1)))
    depth = std::abs(*number) < 1e15 ? ctx.c(*number) : Dim();
  if (!depth)
    return ctx.unsupported("the depth (input 1) must be known from constants "
                           "and the sizes of inputs");
  if (isBool(indices.elementType) || values.rank() != 1 ||
      (values.dims[0].isConst() && !values.dims[0].isConst(2)))
    return ctx.error("indices must be numbers and values hold 2 elements; "
                     "found " +
                     indices.str() + " and " + values.str());
  ctx.out(0).elementType = values.elementType;
  ctx.out(0).dims = indices.dims;
  ctx.out(0).dims.insert(ctx.out(0).dims.begin() + *axis, depth);
  return success();
}

LogicalResult expandOneHot(ExpandContext &ctx) {
  const ValueInfo &ix = ctx.inInfo(0), &out = ctx.outInfo(0);
  int64_t axis = ctx.intAttr("axis", -1);
  axis = axis < 0 ? axis + out.rank() : axis;
  MLIRContext *context = ctx.b.getContext();
  SmallVector<AffineExpr> reads;
  for (int64_t d = 0; d < out.rank(); ++d)
    if (d != axis)
      reads.push_back(getAffineDimExpr(d, context));
  ctx.checkEqual(ctx.inInfo(2).dims[0], ctx.dims.constant(2),
                 "the number of values");
  Value values = input(ctx, 2), depth = ctx.index(out.dims[axis]);
  checkNonNegative(ctx, out.dims);
  Value pair[2];
  for (int64_t i : {0, 1})
    pair[i] =
        tensor::ExtractOp::create(ctx.b, ctx.loc, values, constIndex(ctx, i));
  Value result = generic(
      ctx, input(ctx, 0),
      {AffineMap::get(out.rank(), 0, reads, context),
       ctx.b.getMultiDimIdentityMap(out.rank())},
      ctx.empty(out),
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value i = args[0];
        if (isa<FloatType>(i.getType())) {
          // A number that is no place is none, and NaN is not either.
          Value wide = narrow(b, loc, widen(b, loc, i), b.getF64Type());
          Value size = math::AbsFOp::create(b, loc, wide);
          Value small =
              arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, size,
                                    scalar(b, loc, b.getF64Type(), 1e15));
          wide = arith::SelectOp::create(b, loc, small, wide,
                                         scalar(b, loc, b.getF64Type(), 1e15));
          i = arith::FPToSIOp::create(b, loc, b.getI64Type(), wide);
          i = arith::IndexCastOp::create(b, loc, b.getIndexType(), i);
        } else {
          i = toIndex(b, loc, i, ix.elementType);
        }
        Value zero = arith::ConstantIndexOp::create(b, loc, 0);
        Value negative =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, i, zero);
        Value wrapped = arith::SelectOp::create(
            b, loc, negative, arith::AddIOp::create(b, loc, i, depth), i);
        Value hot =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, wrapped,
                                  linalg::IndexOp::create(b, loc, axis));
        return arith::SelectOp::create(b, loc, hot, pair[1], pair[0]);
      });
  give(ctx, 0, result);
  return success();
}

} // namespace

void addGeneratorOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferConstantOfShape, expandConstantOfShape>(
      "ConstantOfShape", 1, 1));
  t.push_back(entry<inferRange, expandRange>("Range", 3, 3));
  t.push_back(entry<inferOneHot, expandOneHot>("OneHot", 3, 3));
}

} // namespace lnn::onnx
