//===- OpsReduction.cpp - sums, extremes and orders ----------------------===//
//
// Reductions are linalg.generics whose sums ascend over the reduced index, in
// f32 where f16 or bf16 is stored. Softmax and the norms are made of them.
//
//===----------------------------------------------------------------------===//
#include "OpReductionHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// Reduce*
//===----------------------------------------------------------------------===//

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

/// Which dimensions are reduced; `noop` where none is and the input stays.
LogicalResult reduceMask(NodeView &node, InfoFn in, Mask &mask, bool &noop) {
  int64_t rank = in(0).rank();
  SmallVector<int64_t> axes;
  if (auto attr = node.intsAttr("axes")) {
    axes = *attr;
  } else if (node.hasInput(1)) {
    auto values = knownIntegers(in(1));
    if (!values)
      return node.unsupported("the axes (input 1) must be constant");
    axes = *values;
  }
  noop = axes.empty() && node.intAttr("noop_with_empty_axes", 0) != 0;
  mask.assign(rank, axes.empty() && !noop);
  for (int64_t axis : axes) {
    if (axis < -rank || axis >= rank)
      return node.error("axis " + Twine(axis) + " is outside the rank of " +
                        in(0).str());
    mask[axis < 0 ? axis + rank : axis] = true;
  }
  return success();
}

SmallVector<Dim> outDims(DimContext &dims, ArrayRef<Dim> in,
                         ArrayRef<bool> mask, bool keep) {
  SmallVector<Dim> result;
  for (auto [dim, reduced] : llvm::zip(in, mask)) {
    if (!reduced)
      result.push_back(dim);
    else if (keep)
      result.push_back(dims.constant(1));
  }
  return result;
}

/// Known contents reduced to one.
void reduceData(InferContext &ctx, ArrayRef<bool> mask) {
  const SmallVector<Dim> *data = dataOf(ctx, 0);
  if (!data || mask.size() != 1 || !mask[0])
    return;
  StringRef type = ctx.type();
  DimContext &c = ctx.dims;
  if (data->empty() && type != "ReduceSum" && type != "ReduceProd")
    return;
  Dim r = c.constant(type == "ReduceProd");
  if (type != "ReduceProd" && type != "ReduceSum" && !data->empty())
    r = data->front();
  for (Dim d : *data) {
    if (type == "ReduceProd")
      r = mulDims(c, r, d);
    else if (type == "ReduceSum")
      r = addDims(c, r, d);
    else if (type == "ReduceMax")
      r = maxDims(c, r, d);
    else if (type == "ReduceMin")
      r = minDims(c, r, d);
    else
      return;
    if (!r)
      return;
  }
  setData(ctx.out(0), {r});
}

LogicalResult inferReduce(InferContext &ctx) {
  Mask mask;
  bool noop;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(reduceMask(ctx, in, mask, noop)))
    return failure();
  bool extreme = ctx.type() == "ReduceMax" || ctx.type() == "ReduceMin";
  if (isBool(ctx.in(0).elementType) && !extreme)
    return ctx.error("the input must be a tensor of numbers; found " +
                     ctx.in(0).str());
  ctx.out(0).elementType = ctx.in(0).elementType;
  ctx.out(0).dims =
      outDims(ctx.dims, ctx.in(0).dims, mask, ctx.intAttr("keepdims", 1) != 0);
  reduceData(ctx, mask);
  return success();
}

LogicalResult inferReduceFloat(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")))
    return failure();
  return inferReduce(ctx);
}

/// How one Reduce operator accumulates.
struct Reducer {
  ExpandContext &ctx;
  StringRef kind; ///< the operator's name without "Reduce"
  Type type;      ///< what is computed in
  bool zext;

  bool isFloating() const { return isa<FloatType>(type); }
  bool is(std::initializer_list<StringRef> kinds) const {
    return llvm::is_contained(kinds, kind);
  }
  TypedAttr init() const {
    if (kind == "Max")
      return lowest(type, zext);
    if (kind == "Min")
      return highest(type, zext);
    return scalarAttr(type, kind == "Prod" ? 1 : 0);
  }
  Value add(OpBuilder &b, Location loc, Value l, Value r) const {
    return isFloating() ? addf(b, loc, l, r)
                        : Value(arith::AddIOp::create(b, loc, l, r));
  }
  Value mul(OpBuilder &b, Location loc, Value l, Value r) const {
    return isFloating() ? mulf(b, loc, l, r)
                        : Value(arith::MulIOp::create(b, loc, l, r));
  }
  Value extreme(OpBuilder &b, Location loc, Value l, Value r) const {
    bool max = kind == "Max";
    if (isFloating())
      return max ? maxf(b, loc, l, r)
                 : Value(arith::MinimumFOp::create(b, loc, l, r));
    if (zext)
      return max ? Value(arith::MaxUIOp::create(b, loc, l, r))
                 : Value(arith::MinUIOp::create(b, loc, l, r));
    return max ? Value(arith::MaxSIOp::create(b, loc, l, r))
               : Value(arith::MinSIOp::create(b, loc, l, r));
  }
  Value magnitude(OpBuilder &b, Location loc, Value v) const {
    if (isFloating())
      return math::AbsFOp::create(b, loc, v);
    if (zext)
      return v;
    Value zero = scalar(b, loc, type, 0);
    return arith::MaxSIOp::create(b, loc, v,
                                  arith::SubIOp::create(b, loc, zero, v));
  }
  /// The accumulator after one more element.
  Value step(OpBuilder &b, Location loc, Value x, Value acc) const {
    if (is({"Max", "Min"}))
      return extreme(b, loc, acc, x);
    if (kind == "Prod")
      return mul(b, loc, acc, x);
    if (kind == "L1")
      return add(b, loc, acc, magnitude(b, loc, x));
    if (is({"L2", "SumSquare"}))
      return add(b, loc, acc, mul(b, loc, x, x));
    return add(b, loc, acc, x);
  }
};

/// log(sum(exp(x))), with the largest element taken out first.
Value reduceLogSumExp(ExpandContext &ctx, const Reducer &r, Value x,
                      ArrayRef<Dim> dims, const Mask &mask) {
  AffineMap all = ctx.b.getMultiDimIdentityMap(dims.size());
  AffineMap some = droppedMap(ctx.b.getContext(), mask);
  Value max = reduce(ctx, x, {all}, dims, mask, lowest(r.type, false),
                     [](OpBuilder &b, Location loc, ValueRange a) {
                       return maxf(b, loc, a[1], a[0]);
                     });
  // An infinite maximum is not subtracted: inf - inf would be NaN.
  SmallVector<Dim> left = kept(dims, mask);
  AffineMap leftMap = ctx.b.getMultiDimIdentityMap(left.size());
  Value shift = mapWith(
      ctx, max, {leftMap}, left, r.type,
      [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
        Value size = math::AbsFOp::create(b, loc, a[0]);
        Value inf = arith::ConstantOp::create(b, loc, highest(r.type, false));
        Value finite =
            arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, size, inf);
        return arith::SelectOp::create(b, loc, finite, a[0],
                                       scalar(b, loc, r.type, 0));
      });
  Value sum =
      reduce(ctx, {x, shift}, {all, some}, dims, mask, scalarAttr(r.type, 0),
             [](OpBuilder &b, Location loc, ValueRange a) {
               Value e = math::ExpOp::create(b, loc, subf(b, loc, a[0], a[1]));
               return addf(b, loc, a[2], e);
             });
  return mapWith(ctx, {sum, shift}, {leftMap, leftMap}, left, r.type,
                 [](OpBuilder &b, Location loc, ValueRange a) {
                   return addf(b, loc, math::LogOp::create(b, loc, a[0]), a[1]);
                 });
}

/// What is done to a finished sum: the mean's division, a root or a logarithm.
Value finishReduction(ExpandContext &ctx, const Reducer &r, Value sum,
                      ArrayRef<Dim> dims, const Mask &mask, Type stored) {
  bool plain = !r.is({"Mean", "L2", "LogSum"});
  Type have = cast<RankedTensorType>(sum.getType()).getElementType();
  if (plain && have == stored)
    return sum;
  SmallVector<Dim> left = kept(dims, mask);
  Value count = r.kind == "Mean" ? countOf(ctx, dims, mask, r.type) : Value();
  return mapWith(
      ctx, sum, {ctx.b.getMultiDimIdentityMap(left.size())}, left, stored,
      [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
        if (plain)
          return a[0];
        if (r.kind == "LogSum")
          return math::LogOp::create(b, loc, a[0]);
        if (r.kind == "L2")
          return math::SqrtOp::create(b, loc, a[0]);
        if (r.isFloating())
          return divf(b, loc, a[0], count);
        Value n =
            arith::MaxUIOp::create(b, loc, count, integer(b, loc, r.type, 1));
        return r.zext ? Value(arith::DivUIOp::create(b, loc, a[0], n))
                      : Value(arith::DivSIOp::create(b, loc, a[0], n));
      });
}

LogicalResult expandReduce(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0), &out = ctx.outInfo(0);
  Mask mask;
  bool noop;
  auto info = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(reduceMask(ctx, info, mask, noop)))
    return failure();
  Value x = input(ctx, 0);
  if (noop) {
    give(ctx, 0, x);
    return success();
  }
  Reducer r{ctx, ctx.type().drop_front(strlen("Reduce")),
            computeType(in.elementType), isUnsigned(in.elementType)};
  AffineMap all = ctx.b.getMultiDimIdentityMap(in.rank());
  Value v = r.kind == "LogSumExp"
                ? reduceLogSumExp(ctx, r, x, in.dims, mask)
                : reduce(ctx, x, {all}, in.dims, mask, r.init(),
                         [&](OpBuilder &b, Location loc, ValueRange a) {
                           return r.step(b, loc, a[0], a[1]);
                         });
  v = finishReduction(ctx, r, v, in.dims, mask,
                      ExpandContext::converted(out.elementType));
  give(ctx, 0, reshape(ctx, v, kept(in.dims, mask), out.dims));
  return success();
}

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin
//===----------------------------------------------------------------------===//

LogicalResult inferArg(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), in.rank());
  if (failed(axis))
    return failure();
  if (in.dims[*axis].isConst(0))
    return ctx.error("the axis is empty");
  Mask mask(in.rank(), false);
  mask[*axis] = true;
  ctx.out(0).elementType = IntegerType::get(ctx.op.getContext(), 64);
  ctx.out(0).dims =
      outDims(ctx.dims, in.dims, mask, ctx.intAttr("keepdims", 1) != 0);
  return success();
}

/// The extreme first, then the first (or last) place that holds it or a NaN.
LogicalResult expandArg(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + in.rank() : axis;
  bool last = ctx.intAttr("select_last_index", 0) != 0;
  Mask mask(in.rank(), false);
  mask[axis] = true;
  Reducer r{ctx, ctx.type().drop_front(strlen("Arg")),
            computeType(in.elementType), isUnsigned(in.elementType)};
  AffineMap all = ctx.b.getMultiDimIdentityMap(in.rank());
  AffineMap some = droppedMap(ctx.b.getContext(), mask);
  Value x = input(ctx, 0);
  Value best = reduce(ctx, x, {all}, in.dims, mask, r.init(),
                      [&](OpBuilder &b, Location loc, ValueRange a) {
                        return r.step(b, loc, a[0], a[1]);
                      });
  Type i64 = ctx.b.getI64Type();
  TypedAttr none = ctx.b.getI64IntegerAttr(last ? -1 : INT64_MAX);
  Value place = reduce(
      ctx, {x, best}, {all, some}, in.dims, mask, none,
      [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
        Value at = linalg::IndexOp::create(b, loc, axis);
        at = arith::IndexCastOp::create(b, loc, i64, at);
        Value hit;
        if (r.isFloating()) {
          Value same = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                             a[0], a[1]);
          Value nan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO,
                                            a[0], a[0]);
          hit = arith::OrIOp::create(b, loc, same, nan);
        } else {
          hit = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, a[0],
                                      a[1]);
        }
        Value better = last ? Value(arith::MaxSIOp::create(b, loc, a[2], at))
                            : Value(arith::MinSIOp::create(b, loc, a[2], at));
        return arith::SelectOp::create(b, loc, hit, better, a[2]);
      });
  give(ctx, 0, reshape(ctx, place, kept(in.dims, mask), ctx.outInfo(0).dims));
  return success();
}

//===----------------------------------------------------------------------===//
// CumSum, CumProd
//===----------------------------------------------------------------------===//

LogicalResult inferCumSum(InferContext &ctx) {
  auto axis = knownIntegers(ctx.in(1));
  if (!axis || axis->size() != 1)
    return ctx.unsupported("the axis (input 1) must be a constant");
  if (failed(ctx.normalizeAxis((*axis)[0], ctx.in(0).rank())))
    return failure();
  if (isBool(ctx.in(0).elementType))
    return ctx.error("the input must be a tensor of numbers");
  ctx.out(0).elementType = ctx.in(0).elementType;
  ctx.out(0).dims = ctx.in(0).dims;
  return success();
}

/// One pass along the axis with the running sums (or products) carried.
LogicalResult expandCumSum(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  int64_t axis = (*knownIntegers(ctx.inInfo(1)))[0];
  axis = axis < 0 ? axis + in.rank() : axis;
  bool exclusive = ctx.intAttr("exclusive", 0) != 0;
  bool reverse = ctx.intAttr("reverse", 0) != 0;
  Type type = computeType(in.elementType);
  Type stored = ExpandContext::converted(in.elementType);
  bool product = ctx.type() == "CumProd";
  Reducer r{ctx, product ? "Prod" : "Sum", type, isUnsigned(in.elementType)};
  SmallVector<Dim> part = in.dims;
  part[axis] = ctx.dims.constant(1);
  sizesOf(ctx, part); // computed outside of the loop
  Value x = input(ctx, 0);
  Value sums = ctx.filled(part, r.init());
  Value whole = ctx.filled(in.dims, scalarAttr(stored, 0));
  Value zero = arith::ConstantIndexOp::create(ctx.b, ctx.loc, 0);
  Value one = arith::ConstantIndexOp::create(ctx.b, ctx.loc, 1);
  Value count = ctx.index(in.dims[axis]);
  auto loop = scf::ForOp::create(ctx.b, ctx.loc, zero, count, one,
                                 ValueRange{whole, sums});
  OpBuilder::InsertionGuard guard(ctx.b);
  ctx.b.setInsertionPointToStart(loop.getBody());
  Value at = loop.getInductionVar();
  if (reverse) {
    Value left = arith::SubIOp::create(ctx.b, ctx.loc, count, at);
    at = arith::SubIOp::create(ctx.b, ctx.loc, left, one);
  }
  SmallVector<OpFoldResult> place = zeros(ctx, in.rank());
  place[axis] = at;
  whole = loop.getRegionIterArg(0);
  sums = loop.getRegionIterArg(1);
  AffineMap identity = ctx.b.getMultiDimIdentityMap(in.rank());
  auto write = [&](Value values) {
    Value out =
        mapWith(ctx, values, {identity}, part, stored,
                [](OpBuilder &, Location, ValueRange a) { return a[0]; });
    whole = insert(ctx, out, whole, place, part);
  };
  if (exclusive)
    write(sums);
  Value next =
      generic(ctx, slice(ctx, x, place, part, {}), {identity, identity}, sums,
              [&](OpBuilder &b, Location loc, ValueRange a) {
                return r.step(b, loc, widen(b, loc, a[0]), a[1]);
              });
  if (!exclusive)
    write(next);
  scf::YieldOp::create(ctx.b, ctx.loc, ValueRange{whole, next});
  ctx.b.setInsertionPointAfter(loop);
  give(ctx, 0, loop.getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// TopK
//===----------------------------------------------------------------------===//

/// k, which is an attribute before opset 10.
FailureOr<Dim> topCount(NodeView &node, DimContext &c, InfoFn in) {
  if (node.opset() < 10)
    return c.constant(node.intAttr("k", -1));
  if (node.hasInput(1) && in(1).data && in(1).data->size() == 1)
    return (*in(1).data)[0];
  return node.unsupported("k (input 1) must be known from constants and the "
                          "sizes of inputs");
}

LogicalResult inferTopK(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", -1), in.rank());
  if (failed(axis))
    return failure();
  auto info = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  FailureOr<Dim> k = topCount(ctx, ctx.dims, info);
  if (failed(k))
    return failure();
  Dim have = in.dims[*axis], want = *k;
  if (want.isConst() &&
      (want.value() < 0 || (have.isConst() && want.value() > have.value())))
    return ctx.error("k is " + want.str() + " of " + have.str());
  for (unsigned i = 0; i < 2 && i < ctx.numOutputs(); ++i) {
    if (!ctx.hasOutput(i))
      continue;
    ctx.out(i).elementType =
        i == 0 ? in.elementType : IntegerType::get(ctx.op.getContext(), 64);
    ctx.out(i).dims = in.dims;
    ctx.out(i).dims[*axis] = want;
  }
  return success();
}

/// True where `l` comes before `r`; NaN is the greatest, equals keep their
/// order.
Value precedes(OpBuilder &b, Location loc, const Reducer &r, Value l, Value rhs,
               Value lAt, Value rAt) {
  bool largest = r.kind == "Max";
  Value more, same;
  if (r.isFloating()) {
    auto cmp = [&](arith::CmpFPredicate p, Value x, Value y) -> Value {
      return arith::CmpFOp::create(b, loc, p, x, y);
    };
    Value lNan = cmp(arith::CmpFPredicate::UNO, l, l);
    Value rNan = cmp(arith::CmpFPredicate::UNO, rhs, rhs);
    Value one = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
    Value nanFirst = arith::AndIOp::create(
        b, loc, largest ? lNan : rNan,
        arith::XOrIOp::create(b, loc, largest ? rNan : lNan, one));
    more = cmp(largest ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT,
               l, rhs);
    more = arith::OrIOp::create(b, loc, more, nanFirst);
    same = arith::OrIOp::create(b, loc, cmp(arith::CmpFPredicate::OEQ, l, rhs),
                                arith::AndIOp::create(b, loc, lNan, rNan));
  } else {
    arith::CmpIPredicate p =
        largest
            ? (r.zext ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt)
            : (r.zext ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt);
    more = arith::CmpIOp::create(b, loc, p, l, rhs);
    same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, l, rhs);
  }
  Value earlier =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, lAt, rAt);
  return arith::OrIOp::create(b, loc, more,
                              arith::AndIOp::create(b, loc, same, earlier));
}

/// Each element's rank is the number that precede it; rank p goes to place p.
/// Work is quadratic in the axis, without a branch and in a fixed order.
LogicalResult expandTopK(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  int64_t rank = in.rank(), axis = ctx.intAttr("axis", -1);
  axis = axis < 0 ? axis + rank : axis;
  bool largest = ctx.intAttr("largest", 1) != 0;
  Reducer r{ctx, largest ? "Max" : "Min", computeType(in.elementType),
            isUnsigned(in.elementType)};
  auto info = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  Dim k = *topCount(ctx, ctx.dims, info);
  if (!isLessOrEqual(ctx.dims, k, in.dims[axis]) || !isNonNegative(k)) {
    Value bound = ctx.index(in.dims[axis]);
    check(ctx,
          arith::CmpIOp::create(ctx.b, ctx.loc, arith::CmpIPredicate::ule,
                                ctx.index(k), bound),
          "k must not be above the axis");
  }
  Value x = input(ctx, 0);
  Type i64 = ctx.b.getI64Type();
  MLIRContext *context = ctx.b.getContext();
  // Dimensions are the input's, then the one compared with (or the place).
  SmallVector<AffineExpr> mine, other;
  for (int64_t d = 0; d < rank; ++d) {
    mine.push_back(getAffineDimExpr(d, context));
    other.push_back(getAffineDimExpr(d == axis ? rank : d, context));
  }
  AffineMap mineMap = AffineMap::get(rank + 1, 0, mine, context);
  AffineMap otherMap = AffineMap::get(rank + 1, 0, other, context);
  Value ranks =
      generic(ctx, {x, x}, {mineMap, otherMap, mineMap},
              ctx.filled(in.dims, ctx.b.getI64IntegerAttr(0)),
              [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
                Value at = linalg::IndexOp::create(b, loc, axis);
                Value otherAt = linalg::IndexOp::create(b, loc, rank);
                Value before = precedes(b, loc, r, widen(b, loc, a[1]),
                                        widen(b, loc, a[0]), otherAt, at);
                Value one = arith::ExtUIOp::create(b, loc, i64, before);
                return arith::AddIOp::create(b, loc, a[2], one);
              });
  SmallVector<Dim> dims = in.dims;
  dims[axis] = k;
  auto pick = [&](Value init, bool values) {
    return generic(ctx, {ranks, x}, {mineMap, mineMap, otherMap}, init,
                   [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
                     Value place = linalg::IndexOp::create(b, loc, rank);
                     place = arith::IndexCastOp::create(b, loc, i64, place);
                     Value hit = arith::CmpIOp::create(
                         b, loc, arith::CmpIPredicate::eq, a[0], place);
                     Value v = a[1];
                     if (!values) {
                       v = linalg::IndexOp::create(b, loc, axis);
                       v = arith::IndexCastOp::create(b, loc, i64, v);
                     }
                     return arith::SelectOp::create(b, loc, hit, v, a[2]);
                   });
  };
  Type stored = ExpandContext::converted(in.elementType);
  if (ctx.hasOutput(0))
    give(ctx, 0, pick(ctx.filled(dims, scalarAttr(stored, 0)), true));
  if (ctx.numOutputs() > 1 && ctx.hasOutput(1))
    give(ctx, 1, pick(ctx.filled(dims, ctx.b.getI64IntegerAttr(0)), false));
  return success();
}

template <LogicalResult (*infer)(InferContext &),
          LogicalResult (*expand)(ExpandContext &)>
OpEntry row(StringRef name, unsigned minInputs, unsigned maxInputs,
            int64_t since = kFirstOpset) {
  return entry<infer, expand>(name, minInputs, maxInputs, since);
}

} // namespace

void addReductionOps(std::vector<OpEntry> &t) {
  for (StringRef name : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin",
                         "ReduceProd", "ReduceL1", "ReduceSumSquare"})
    t.push_back(row<inferReduce, expandReduce>(name, 1, 2));
  for (StringRef name : {"ReduceL2", "ReduceLogSum", "ReduceLogSumExp"})
    t.push_back(row<inferReduceFloat, expandReduce>(name, 1, 2));
  t.push_back(row<inferArg, expandArg>("ArgMax", 1, 1));
  t.push_back(row<inferArg, expandArg>("ArgMin", 1, 1));
  t.push_back(row<inferCumSum, expandCumSum>("CumSum", 2, 2));
  t.push_back(row<inferCumSum, expandCumSum>("CumProd", 2, 2, 26));
  t.push_back(row<inferTopK, expandTopK>("TopK", 1, 2));
  addNormalizationOps(t);
}

} // namespace lnn::onnx
