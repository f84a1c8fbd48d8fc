//===- OpsRepeat.cpp - Expand, Tile and Pad
//---------------------------------===//
//
// Elements are repeated, or surrounded by others.
//
//===----------------------------------------------------------------------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// Expand, Tile, Pad
//===----------------------------------------------------------------------===//

LogicalResult inferExpand(InferContext &ctx) {
  const SmallVector<Dim> *shape = dataOf(ctx, 1);
  if (!shape)
    return ctx.unsupported("the shape (input 1) must be known from constants "
                           "and the sizes of inputs");
  for (Dim d : *shape)
    if (d.isConst() && d.value() < 0)
      return ctx.error("the shape holds " + Twine(d.value()));
  FailureOr<SmallVector<Dim>> dims = ctx.broadcast(ctx.in(0).dims, *shape);
  if (failed(dims))
    return failure();
  ctx.out(0).elementType = ctx.in(0).elementType;
  ctx.out(0).dims = *dims;
  const SmallVector<Dim> *data = dataOf(ctx, 0);
  if (data && data->size() == 1 && dims->size() <= 1 &&
      (dims->empty() || ((*dims)[0].isConst() && (*dims)[0].value() <= 1024)))
    setData(ctx.out(0), SmallVector<Dim>(dims->empty() ? 1 : (*dims)[0].value(),
                                         (*data)[0]));
  return success();
}

LogicalResult expandExpand(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  Value x = input(ctx, 0);
  checkNonNegative(ctx, to.dims);
  // Only ones are added: no element is repeated.
  if (productOf(from.dims) == productOf(to.dims)) {
    give(ctx, 0, reshape(ctx, x, from.dims, to.dims));
    return success();
  }
  give(ctx, 0,
       ctx.elementwise(
           x, {&from}, to,
           [](OpBuilder &, Location, ValueRange args) { return args[0]; }));
  return success();
}

LogicalResult inferTile(InferContext &ctx) {
  const SmallVector<Dim> *repeats = dataOf(ctx, 1);
  if (!repeats)
    return ctx.unsupported("the repeats (input 1) must be known from constants "
                           "and the sizes of inputs");
  const ValueInfo &in = ctx.in(0);
  if (static_cast<int64_t>(repeats->size()) != in.rank())
    return ctx.error(Twine(repeats->size()) + " repeats for " + in.str());
  ctx.out(0).elementType = in.elementType;
  for (auto [dim, repeat] : llvm::zip(in.dims, *repeats)) {
    if (repeat.isConst() && repeat.value() < 0)
      return ctx.error("a repeat is " + Twine(repeat.value()));
    ctx.out(0).dims.push_back(mulDims(ctx.dims, dim, repeat));
  }
  return success();
}

LogicalResult expandTile(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  const SmallVector<Dim> &repeats = *ctx.inInfo(1).data;
  checkNonNegative(ctx, repeats);
  MLIRContext *context = ctx.b.getContext();
  // [d0, d1] becomes [r0, d0, r1, d1], of which the r are not read.
  SmallVector<Dim> wide;
  SmallVector<AffineExpr> reads;
  for (int64_t d = 0; d < from.rank(); ++d) {
    if (!repeats[d].isConst(1))
      wide.push_back(repeats[d]);
    reads.push_back(getAffineDimExpr(wide.size(), context));
    wide.push_back(from.dims[d]);
  }
  Type element = ExpandContext::converted(from.elementType);
  Value tiled =
      generic(ctx, input(ctx, 0),
              {AffineMap::get(wide.size(), 0, reads, context),
               ctx.b.getMultiDimIdentityMap(wide.size())},
              ctx.empty(wide, element),
              [](OpBuilder &, Location, ValueRange args) { return args[0]; });
  give(ctx, 0, reshape(ctx, tiled, wide, to.dims));
  return success();
}

/// Padding before and after each dimension.
LogicalResult padAmounts(NodeView &node, DimContext &c, InfoFn in,
                         SmallVector<Dim> &before, SmallVector<Dim> &after) {
  const ValueInfo &data = in(0);
  SmallVector<Dim> pads;
  if (node.opset() < 11) {
    for (int64_t v : node.intsAttr("pads").value_or(SmallVector<int64_t>()))
      pads.push_back(c.constant(v));
  } else if (!in(1).data) {
    return node.unsupported("the pads (input 1) must be known from constants "
                            "and the sizes of inputs");
  } else {
    pads = *in(1).data;
  }
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(0, data.rank()));
  if (node.hasInput(3)) {
    SmallVector<bool> mask;
    if (failed(axesMask(node, in(3), data.rank(), mask)))
      return failure();
    axes = *knownIntegers(in(3));
  }
  if (pads.size() != 2 * axes.size())
    return node.error(Twine(pads.size()) + " pads for " + Twine(axes.size()) +
                      " axes of " + data.str());
  before.assign(data.rank(), c.constant(0));
  after = before;
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = axes[i] < 0 ? axes[i] + data.rank() : axes[i];
    before[axis] = pads[i];
    after[axis] = pads[i + axes.size()];
  }
  return success();
}

LogicalResult checkPad(InferContext &ctx, StringRef mode, Dim size, Dim before,
                       Dim after) {
  if (mode == "constant" || !size.isConst())
    return success();
  bool padded = !before.isConst(0) || !after.isConst(0);
  if (size.isConst(0) && padded)
    return ctx.error("an empty dimension has nothing to repeat");
  return success();
}

LogicalResult inferPad(InferContext &ctx) {
  StringRef mode = ctx.strAttr("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" &&
      mode != "wrap")
    return ctx.error("mode \"" + mode + "\" is unknown");
  SmallVector<Dim> before, after;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(padAmounts(ctx, ctx.dims, in, before, after)))
    return failure();
  if (ctx.hasInput(2) && failed(sameElementType(ctx, 0, 2)))
    return failure();
  if (ctx.hasInput(2) &&
      llvm::any_of(ctx.in(2).dims, [](Dim d) { return !d.isConst(1); }))
    return ctx.error("the padding's value must be a scalar");
  ctx.out(0).elementType = ctx.in(0).elementType;
  for (auto [d, b, a] : llvm::zip(ctx.in(0).dims, before, after)) {
    if (failed(checkPad(ctx, mode, d, b, a)))
      return failure();
    ctx.out(0).dims.push_back(addDims(ctx.dims, addDims(ctx.dims, d, b), a));
  }
  return success();
}

/// The source coordinate of a padded one, before clamping.
Value padSource(OpBuilder &b, Location loc, StringRef mode, Value at,
                Value size) {
  auto c = [&](int64_t v) -> Value {
    return arith::ConstantIndexOp::create(b, loc, v);
  };
  auto modulo = [&](Value v, Value m) -> Value {
    Value r = arith::RemSIOp::create(b, loc, v, m);
    Value shifted = arith::AddIOp::create(b, loc, r, m);
    Value negative =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, r, c(0));
    return arith::SelectOp::create(b, loc, negative, shifted, r);
  };
  Value safe = arith::MaxSIOp::create(b, loc, size, c(1));
  if (mode == "wrap")
    return modulo(at, safe);
  if (mode != "reflect")
    return at;
  // A triangle wave of period 2 (size - 1).
  Value last = arith::SubIOp::create(b, loc, safe, c(1));
  Value period = arith::MulIOp::create(b, loc, last, c(2));
  period = arith::MaxSIOp::create(b, loc, period, c(1));
  Value phase = modulo(at, period);
  Value mirrored = arith::SubIOp::create(b, loc, period, phase);
  return arith::MinSIOp::create(b, loc, phase, mirrored);
}

/// Constant padding where nothing is cut off: a copy into a filled tensor.
Value padConstant(ExpandContext &ctx, Value x, Value value,
                  ArrayRef<Dim> before) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  Value filled =
      linalg::FillOp::create(ctx.b, ctx.loc, value, ctx.empty(to)).getResult(0);
  return insert(ctx, x, filled, sizesOf(ctx, before), from.dims);
}

LogicalResult expandPad(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  std::string mode = ctx.strAttr("mode", "constant").str();
  SmallVector<Dim> before, after;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(padAmounts(ctx, ctx.dims, in, before, after)))
    return failure();
  checkNonNegative(ctx, to.dims);
  Value x = input(ctx, 0);
  Type element = ExpandContext::converted(from.elementType);
  Value value = scalar(ctx.b, ctx.loc, element, ctx.floatAttr("value", 0));
  if (ctx.hasInput(2))
    value = tensor::ExtractOp::create(
        ctx.b, ctx.loc, reshape(ctx, input(ctx, 2), ctx.inInfo(2).dims, {}),
        ValueRange());
  bool grows =
      llvm::all_of(before, isNonNegative) && llvm::all_of(after, isNonNegative);
  if (mode == "constant" && grows) {
    give(ctx, 0, padConstant(ctx, x, value, before));
    return success();
  }
  SmallVector<Value> sizes, starts;
  for (auto [size, start] : llvm::zip(from.dims, before)) {
    sizes.push_back(ctx.index(size));
    starts.push_back(ctx.index(start));
    if (!size.isConst())
      check(ctx,
            cmpi(ctx, arith::CmpIPredicate::sgt, sizes.back(),
                 constIndex(ctx, 0)),
            "a dimension to pad must not be empty");
  }
  Value out = generate(
      ctx, to, [&](OpBuilder &b, Location loc, ValueRange at) -> Value {
        SmallVector<Value> place;
        Value inside = integer(b, loc, b.getI1Type(), 1);
        for (auto [i, start, size] : llvm::zip(at, starts, sizes)) {
          Value p = arith::SubIOp::create(b, loc, i, start);
          Value source = padSource(b, loc, mode, p, size);
          place.push_back(clampIndex(b, loc, source, size));
          Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                             p, place.back());
          inside = arith::AndIOp::create(b, loc, inside, same);
        }
        Value v = tensor::ExtractOp::create(b, loc, x, place);
        return mode == "constant"
                   ? Value(arith::SelectOp::create(b, loc, inside, v, value))
                   : v;
      });
  give(ctx, 0, out);
  return success();
}

} // namespace

void addRepeatOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferExpand, expandExpand>("Expand", 2, 2));
  t.push_back(entry<inferTile, expandTile>("Tile", 2, 2));
  t.push_back(entry<inferPad, expandPad>("Pad", 1, 1, kFirstOpset, 10));
  t.push_back(entry<inferPad, expandPad>("Pad", 2, 4, 11));
}

} // namespace lnn::onnx
