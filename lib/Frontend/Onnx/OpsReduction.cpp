//===- OpsReduction.cpp - sums, extremes and what is built on them --------===//
//
// Reductions are linalg.generics whose sums ascend over the reduced index, in
// f32 where f16 or bf16 is stored. Softmax and the norms are made of them.
//
//===----------------------------------------------------------------------===//
#include "OpHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using Mask = SmallVector<bool>;

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
SmallVector<Dim> reducedDims(ArrayRef<Dim> dims, ArrayRef<bool> mask) {
  SmallVector<Dim> result;
  for (auto [dim, reduced] : llvm::zip(dims, mask))
    if (reduced)
      result.push_back(dim);
  return result;
}

/// Reduces the masked dimensions; the body gets the widened element(s) and the
/// accumulator.
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

/// Maps tensors read through maps to a tensor of `dims`; elements are widened
/// and the result narrowed to `type`.
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

/// The number of elements reduced over, as a scalar.
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

template <LogicalResult (*infer)(InferContext &),
          LogicalResult (*expand)(ExpandContext &)>
OpEntry row(StringRef name, unsigned minInputs, unsigned maxInputs,
            int64_t since = 13) {
  return {name,           since,           28, minInputs, maxInputs,
          checked<infer>, orKnown<expand>, ""};
}

} // namespace

void addReductionOps(std::vector<OpEntry> &t) {
  for (StringRef name : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin",
                         "ReduceProd", "ReduceL1", "ReduceSumSquare"})
    t.push_back(row<inferReduce, expandReduce>(name, 1, 2));
  for (StringRef name : {"ReduceL2", "ReduceLogSum", "ReduceLogSumExp"})
    t.push_back(row<inferReduceFloat, expandReduce>(name, 1, 2));
}

} // namespace lnn::onnx
