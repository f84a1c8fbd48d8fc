//===- OpsPooling.cpp - extremes and means of windows ---------------------===//
//
// A pool is one linalg.generic over the padded input whose last dimensions are
// the window's; a constant of the window's shape says how far they go.
//
//===----------------------------------------------------------------------===//
#include "OpReductionHelpers.h"
#include "OpWindow.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

LogicalResult poolWindow(NodeView &node, DimContext &c, InfoFn in, Window &w) {
  ArrayRef<Dim> dims = in(0).dims;
  w.ceil = node.intAttr("ceil_mode", 0) != 0;
  if (failed(windowShape(node, dims.size() - 2, {}, w)))
    return failure();
  return placeWindows(node, c, dims.drop_front(2), w);
}

bool isPooled(Type type) {
  return isFloat(type) || type.isInteger(8) || type.isUnsignedInteger(8);
}

LogicalResult inferPool(InferContext &ctx) {
  const ValueInfo &x = ctx.in(0);
  bool max = ctx.type() == "MaxPool";
  if (failed(requireType(ctx, 0, max ? isPooled : isFloat,
                         max ? "a float, int8 or uint8 tensor"
                             : "a float tensor")))
    return failure();
  if (x.rank() < 3)
    return ctx.error("the input must have rank 3 or more; found " + x.str());
  if (ctx.intAttr("p", 2) < 1)
    return ctx.error("p must be positive");
  Window w;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(poolWindow(ctx, ctx.dims, in, w)))
    return failure();
  ctx.out(0).elementType = x.elementType;
  ctx.out(0).dims = {x.dims[0], x.dims[1]};
  ctx.out(0).dims.append(w.out);
  if (ctx.hasOutput(1)) {
    ctx.out(1).elementType = IntegerType::get(ctx.op.getContext(), 64);
    ctx.out(1).dims = ctx.out(0).dims;
  }
  return success();
}

/// Over (batch, channel, out..., window...).
struct PoolMaps {
  AffineMap input, window, out;
  PoolMaps(MLIRContext *context, const Window &w) {
    unsigned n = w.kernel.size();
    auto d = [&](unsigned i) { return getAffineDimExpr(i, context); };
    SmallVector<AffineExpr> x = {d(0), d(1)}, k, y = x;
    for (unsigned i = 0; i < n; ++i) {
      x.push_back(d(2 + i) * w.strides[i] + d(2 + n + i) * w.dilations[i]);
      k.push_back(d(2 + n + i));
      y.push_back(d(2 + i));
    }
    input = AffineMap::get(2 + 2 * n, 0, x, context);
    window = AffineMap::get(2 + 2 * n, 0, k, context);
    out = AffineMap::get(2 + 2 * n, 0, y, context);
  }
};

/// What only says how large a window is.
Value windowOf(ExpandContext &ctx, const Window &w) {
  auto type = RankedTensorType::get(w.kernel, ctx.b.getI8Type());
  return arith::ConstantOp::create(
      ctx.b, ctx.loc, DenseElementsAttr::get(type, ctx.b.getI8IntegerAttr(0)));
}

/// The coordinate along spatial dimension i that a window's element lies at, in
/// the input without its padding.
Value inputPlace(OpBuilder &b, Location loc, const Window &w, size_t i,
                 Value before) {
  auto c = [&](int64_t v) -> Value {
    return arith::ConstantIndexOp::create(b, loc, v);
  };
  unsigned n = w.kernel.size();
  Value at = arith::MulIOp::create(
      b, loc, linalg::IndexOp::create(b, loc, 2 + i), c(w.strides[i]));
  Value step = arith::MulIOp::create(
      b, loc, linalg::IndexOp::create(b, loc, 2 + n + i), c(w.dilations[i]));
  at = arith::AddIOp::create(b, loc, at, step);
  return arith::SubIOp::create(b, loc, at, before);
}

/// The flat index of the first element of each window that is its maximum.
Value maxIndices(ExpandContext &ctx, Value x, Value best, const Window &w,
                 const PoolMaps &maps) {
  const ValueInfo &in = ctx.inInfo(0);
  size_t n = w.kernel.size();
  bool columns = ctx.intAttr("storage_order", 0) != 0;
  SmallVector<Value> sizes, before;
  for (size_t i = 0; i < n; ++i) {
    sizes.push_back(ctx.index(in.dims[2 + i]));
    before.push_back(ctx.index(w.before[i]));
  }
  Value channels = ctx.index(in.dims[1]);
  Type i64 = ctx.b.getI64Type();
  auto body = [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value inside = integer(b, loc, b.getI1Type(), 1);
    SmallVector<Value> at;
    for (size_t i = 0; i < n; ++i) {
      at.push_back(inputPlace(b, loc, w, i, before[i]));
      // Unsigned, a place before the first is behind the last too.
      Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                         at[i], sizes[i]);
      inside = arith::AndIOp::create(b, loc, inside, here);
    }
    Value flat = arith::MulIOp::create(
        b, loc, linalg::IndexOp::create(b, loc, 0), channels);
    flat =
        arith::AddIOp::create(b, loc, flat, linalg::IndexOp::create(b, loc, 1));
    Value plane = zero;
    if (columns) {
      for (size_t i = n; i-- > 0;)
        plane = arith::AddIOp::create(
            b, loc, arith::MulIOp::create(b, loc, plane, sizes[i]), at[i]);
      for (size_t i = 0; i < n; ++i)
        flat = arith::MulIOp::create(b, loc, flat, sizes[i]);
      flat = arith::AddIOp::create(b, loc, flat, plane);
    } else {
      for (size_t i = 0; i < n; ++i)
        flat = arith::AddIOp::create(
            b, loc, arith::MulIOp::create(b, loc, flat, sizes[i]), at[i]);
    }
    Value place = arith::IndexCastOp::create(b, loc, i64, flat), hit;
    if (isa<FloatType>(a[0].getType())) {
      Value same =
          arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, a[0], a[2]);
      Value nan =
          arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, a[0], a[0]);
      hit = arith::OrIOp::create(b, loc, same, nan);
    } else {
      hit = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, a[0], a[2]);
    }
    hit = arith::AndIOp::create(b, loc, hit, inside);
    Value first = arith::MinSIOp::create(b, loc, a[3], place);
    return arith::SelectOp::create(b, loc, hit, first, a[3]);
  };
  const ValueInfo &out = ctx.outInfo(1);
  return generic(ctx, {x, windowOf(ctx, w), best},
                 {maps.input, maps.window, maps.out, maps.out},
                 ctx.filled(out.dims, ctx.b.getI64IntegerAttr(INT64_MAX)),
                 body);
}

LogicalResult expandMaxPool(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0), &out = ctx.outInfo(0);
  Window w;
  auto info = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(poolWindow(ctx, ctx.dims, info, w)))
    return failure();
  checkWindows(ctx, w);
  bool zext = isUnsigned(in.elementType);
  Type stored = ExpandContext::converted(in.elementType);
  SmallVector<Dim> dims = in.dims;
  Value x = padWindow(ctx, input(ctx, 0), w, dims, lowest(stored, zext));
  PoolMaps maps(ctx.b.getContext(), w);
  Value best = generic(
      ctx, {x, windowOf(ctx, w)}, {maps.input, maps.window, maps.out},
      ctx.filled(out.dims, lowest(stored, zext)),
      [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
        if (isa<FloatType>(stored))
          return narrow(b, loc,
                        maxf(b, loc, widen(b, loc, a[2]), widen(b, loc, a[0])),
                        stored);
        return zext ? Value(arith::MaxUIOp::create(b, loc, a[2], a[0]))
                    : Value(arith::MaxSIOp::create(b, loc, a[2], a[0]));
      });
  give(ctx, 0, best);
  if (ctx.hasOutput(1))
    give(ctx, 1, maxIndices(ctx, x, best, w, maps));
  return success();
}

/// The elements of a window that count, as a float.
Value windowCount(OpBuilder &b, Location loc, const Window &w,
                  ArrayRef<Value> first, ArrayRef<Value> end, Type type) {
  auto c = [&](int64_t v) -> Value {
    return arith::ConstantIndexOp::create(b, loc, v);
  };
  Value count = c(1);
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    Value start = arith::MulIOp::create(
        b, loc, linalg::IndexOp::create(b, loc, 2 + i), c(w.strides[i]));
    // Elements k with first <= start + k dilation < end.
    auto below = [&](Value bound) -> Value {
      Value room = arith::SubIOp::create(b, loc, bound, start);
      room = arith::MaxSIOp::create(b, loc, room, c(0));
      Value k = arith::CeilDivSIOp::create(b, loc, room, c(w.dilations[i]));
      return arith::MinSIOp::create(b, loc, k, c(w.kernel[i]));
    };
    Value n = arith::SubIOp::create(b, loc, below(end[i]), below(first[i]));
    count = arith::MulIOp::create(b, loc, count, n);
  }
  count = arith::MaxSIOp::create(b, loc, count, c(1));
  count = arith::IndexCastOp::create(b, loc, b.getI64Type(), count);
  return arith::SIToFPOp::create(b, loc, type, count);
}

/// The sum of f over each window.
Value windowSum(ExpandContext &ctx, const Window &w, const PoolMaps &maps,
                Type type,
                llvm::function_ref<Value(OpBuilder &, Location, Value)> f) {
  SmallVector<Dim> dims = ctx.inInfo(0).dims;
  Type stored = ExpandContext::converted(ctx.inInfo(0).elementType);
  Value x = padWindow(ctx, input(ctx, 0), w, dims, scalarAttr(stored, 0));
  return generic(ctx, {x, windowOf(ctx, w)},
                 {maps.input, maps.window, maps.out},
                 ctx.filled(ctx.outInfo(0).dims, scalarAttr(type, 0)),
                 [&](OpBuilder &b, Location loc, ValueRange a) {
                   return addf(b, loc, a[2], f(b, loc, widen(b, loc, a[0])));
                 });
}

LogicalResult expandAveragePool(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0), &out = ctx.outInfo(0);
  Window w;
  auto info = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(poolWindow(ctx, ctx.dims, info, w)))
    return failure();
  checkWindows(ctx, w);
  Type type = computeType(in.elementType);
  bool padCounts = ctx.intAttr("count_include_pad", 0) != 0, whole = true;
  SmallVector<Value> first, end;
  int64_t area = 1;
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    Dim last = addDims(ctx.dims, w.before[i], in.dims[2 + i]);
    if (padCounts)
      last = addDims(ctx.dims, last, w.after[i]);
    first.push_back(ctx.index(padCounts ? ctx.dims.constant(0) : w.before[i]));
    end.push_back(ctx.index(last));
    // Every window lies within what counts.
    whole &= (padCounts || w.before[i].isConst(0)) &&
             w.reach[i] == (padCounts ? w.after[i] : ctx.dims.constant(0));
    area *= w.kernel[i];
  }
  PoolMaps maps(ctx.b.getContext(), w);
  Value sum = windowSum(ctx, w, maps, type,
                        [](OpBuilder &, Location, Value v) { return v; });
  AffineMap identity = ctx.b.getMultiDimIdentityMap(out.rank());
  give(ctx, 0,
       mapWith(ctx, sum, {identity}, out.dims,
               ExpandContext::converted(out.elementType),
               [&](OpBuilder &b, Location loc, ValueRange a) {
                 Value n = whole ? scalar(b, loc, type, area)
                                 : windowCount(b, loc, w, first, end, type);
                 return divf(b, loc, a[0], n);
               }));
  return success();
}

/// |v|^p
Value absPower(OpBuilder &b, Location loc, Value v, int64_t p) {
  Value a = math::AbsFOp::create(b, loc, v);
  if (p == 1)
    return a;
  if (p == 2)
    return mulf(b, loc, a, a);
  return math::PowFOp::create(b, loc, a, scalar(b, loc, v.getType(), p));
}
/// v^(1/p)
Value root(OpBuilder &b, Location loc, Value v, int64_t p) {
  if (p == 1)
    return v;
  if (p == 2)
    return math::SqrtOp::create(b, loc, v);
  return math::PowFOp::create(b, loc, v, scalar(b, loc, v.getType(), 1.0 / p));
}

LogicalResult expandLpPool(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  Window w;
  auto info = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(poolWindow(ctx, ctx.dims, info, w)))
    return failure();
  checkWindows(ctx, w);
  int64_t p = ctx.intAttr("p", 2);
  PoolMaps maps(ctx.b.getContext(), w);
  Value sum = windowSum(ctx, w, maps, computeType(out.elementType),
                        [&](OpBuilder &b, Location loc, Value v) {
                          return absPower(b, loc, v, p);
                        });
  AffineMap identity = ctx.b.getMultiDimIdentityMap(out.rank());
  give(ctx, 0,
       mapWith(ctx, sum, {identity}, out.dims,
               ExpandContext::converted(out.elementType),
               [&](OpBuilder &b, Location loc, ValueRange a) {
                 return root(b, loc, a[0], p);
               }));
  return success();
}

//===----------------------------------------------------------------------===//
// Global pools
//===----------------------------------------------------------------------===//

LogicalResult inferGlobal(InferContext &ctx) {
  const ValueInfo &x = ctx.in(0);
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")))
    return failure();
  if (x.rank() < 2)
    return ctx.error("the input must have rank 2 or more; found " + x.str());
  ctx.out(0).elementType = x.elementType;
  ctx.out(0).dims.assign(x.rank(), ctx.c(1));
  ctx.out(0).dims[0] = x.dims[0];
  ctx.out(0).dims[1] = x.dims[1];
  return success();
}

LogicalResult expandGlobal(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0), &out = ctx.outInfo(0);
  Mask mask(in.rank(), true);
  mask[0] = mask[1] = false;
  bool max = ctx.type() == "GlobalMaxPool",
       mean = ctx.type() == "GlobalAveragePool";
  int64_t p = ctx.intAttr("p", 2);
  Type type = computeType(in.elementType);
  AffineMap all = ctx.b.getMultiDimIdentityMap(in.rank());
  Value v = reduce(ctx, input(ctx, 0), {all}, in.dims, mask,
                   max ? lowest(type, false) : scalarAttr(type, 0),
                   [&](OpBuilder &b, Location loc, ValueRange a) {
                     if (max)
                       return maxf(b, loc, a[1], a[0]);
                     Value x = mean ? a[0] : absPower(b, loc, a[0], p);
                     return addf(b, loc, a[1], x);
                   });
  SmallVector<Dim> left = kept(in.dims, mask);
  Value count = mean ? countOf(ctx, in.dims, mask, type) : Value();
  v = mapWith(ctx, v, {ctx.b.getMultiDimIdentityMap(2)}, left,
              ExpandContext::converted(in.elementType),
              [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
                if (max)
                  return a[0];
                return mean ? divf(b, loc, a[0], count) : root(b, loc, a[0], p);
              });
  give(ctx, 0, reshape(ctx, v, left, out.dims));
  return success();
}

} // namespace

void addPoolingOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferPool, expandMaxPool>("MaxPool", 1, 1));
  t.push_back(entry<inferPool, expandAveragePool>("AveragePool", 1, 1));
  t.push_back(entry<inferPool, expandLpPool>("LpPool", 1, 1));
  for (StringRef name : {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"})
    t.push_back(entry<inferGlobal, expandGlobal>(name, 1, 1));
}

} // namespace lnn::onnx
