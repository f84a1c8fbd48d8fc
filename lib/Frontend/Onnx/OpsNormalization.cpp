//===- OpsNormalization.cpp - softmax and the norms -----------------------===//
//
// Statistics are computed in f32 (f64 for f64 inputs) in two passes: the mean,
// then the squares of what differs from it.
//
//===----------------------------------------------------------------------===//
#include "OpCompose.h"
#include "OpReductionHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// Softmax, LogSoftmax
//===----------------------------------------------------------------------===//

/// Before opset 13 everything from the axis on is one dimension.
int64_t defaultAxis(const NodeView &node) { return node.opset() < 13 ? 1 : -1; }

/// The dimensions that are normalized together.
Mask softmaxMask(const NodeView &node, int64_t rank) {
  int64_t axis = node.intAttr("axis", defaultAxis(node));
  axis = axis < 0 ? axis + rank : axis;
  Mask mask(rank, false);
  for (int64_t d = axis; d < rank; ++d)
    mask[d] = d == axis || node.opset() < 13;
  return mask;
}

LogicalResult inferSoftmax(InferContext &ctx) {
  int64_t axis = ctx.intAttr("axis", defaultAxis(ctx)), rank = ctx.in(0).rank();
  bool whole = ctx.opset() < 13 && axis == rank; // each element on its own
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")) ||
      (!whole && failed(ctx.normalizeAxis(axis, rank))))
    return failure();
  ctx.out(0).elementType = ctx.in(0).elementType;
  ctx.out(0).dims = ctx.in(0).dims;
  return success();
}

LogicalResult expandSoftmax(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  bool log = ctx.type() == "LogSoftmax";
  Mask mask = softmaxMask(ctx, in.rank());
  Type type = computeType(in.elementType);
  Type stored = ExpandContext::converted(in.elementType);
  AffineMap all = ctx.b.getMultiDimIdentityMap(in.rank());
  AffineMap some = droppedMap(ctx.b.getContext(), mask);
  Value x = input(ctx, 0);
  Value max = reduce(ctx, x, {all}, in.dims, mask, lowest(type, false),
                     [](OpBuilder &b, Location loc, ValueRange a) {
                       return maxf(b, loc, a[1], a[0]);
                     });
  auto exponent = [](OpBuilder &b, Location loc, ValueRange a) -> Value {
    return math::ExpOp::create(b, loc, subf(b, loc, a[0], a[1]));
  };
  Value e = mapWith(ctx, {x, max}, {all, some}, in.dims, type, exponent);
  Value sum = reduce(ctx, e, {all}, in.dims, mask, scalarAttr(type, 0),
                     [](OpBuilder &b, Location loc, ValueRange a) {
                       return addf(b, loc, a[1], a[0]);
                     });
  if (!log) {
    give(ctx, 0,
         mapWith(ctx, {e, sum}, {all, some}, in.dims, stored,
                 [](OpBuilder &b, Location loc, ValueRange a) {
                   return divf(b, loc, a[0], a[1]);
                 }));
    return success();
  }
  give(ctx, 0,
       mapWith(ctx, {x, max, sum}, {all, some, some}, in.dims, stored,
               [](OpBuilder &b, Location loc, ValueRange a) {
                 Value log = math::LogOp::create(b, loc, a[2]);
                 return subf(b, loc, subf(b, loc, a[0], a[1]), log);
               }));
  return success();
}

//===----------------------------------------------------------------------===//
// Statistics
//===----------------------------------------------------------------------===//

struct Statistics {
  Value mean;    ///< null where none is taken out
  Value inverse; ///< 1 / sqrt(variance + epsilon)
};

/// Of the masked dimensions; results have the others.
Statistics statistics(ExpandContext &ctx, Value x, ArrayRef<Dim> dims,
                      const Mask &mask, Type type, double epsilon,
                      bool centered) {
  Statistics s;
  MLIRContext *context = ctx.b.getContext();
  AffineMap all = ctx.b.getMultiDimIdentityMap(dims.size());
  AffineMap some = droppedMap(context, mask);
  SmallVector<Dim> left = kept(dims, mask);
  AffineMap leftMap = ctx.b.getMultiDimIdentityMap(left.size());
  Value count = countOf(ctx, dims, mask, type);
  SmallVector<Value> inputs = {x};
  SmallVector<AffineMap> maps = {all};
  if (centered) {
    Value sum = reduce(ctx, x, {all}, dims, mask, scalarAttr(type, 0),
                       [](OpBuilder &b, Location loc, ValueRange a) {
                         return addf(b, loc, a[1], a[0]);
                       });
    s.mean = mapWith(ctx, sum, {leftMap}, left, type,
                     [&](OpBuilder &b, Location loc, ValueRange a) {
                       return divf(b, loc, a[0], count);
                     });
    inputs.push_back(s.mean);
    maps.push_back(some);
  }
  Value squares = reduce(ctx, inputs, maps, dims, mask, scalarAttr(type, 0),
                         [&](OpBuilder &b, Location loc, ValueRange a) {
                           Value d = centered ? subf(b, loc, a[0], a[1]) : a[0];
                           return addf(b, loc, a.back(), mulf(b, loc, d, d));
                         });
  s.inverse = mapWith(ctx, squares, {leftMap}, left, type,
                      [&](OpBuilder &b, Location loc, ValueRange a) {
                        Value variance = divf(b, loc, a[0], count);
                        Value eps = scalar(b, loc, type, epsilon);
                        Value root = math::SqrtOp::create(
                            b, loc, addf(b, loc, variance, eps));
                        return divf(b, loc, scalar(b, loc, type, 1), root);
                      });
  return s;
}

/// (x - mean) * inverse * scale + bias; a null scale or bias is left out.
Value normalize(ExpandContext &ctx, Value x, ArrayRef<Dim> dims,
                const Mask &mask, const Statistics &s, Value scale,
                AffineMap scaleMap, Value bias, AffineMap biasMap,
                Type stored) {
  AffineMap some = droppedMap(ctx.b.getContext(), mask);
  SmallVector<Value> inputs = {x, s.inverse};
  SmallVector<AffineMap> maps = {ctx.b.getMultiDimIdentityMap(dims.size()),
                                 some};
  auto use = [&](Value v, AffineMap map) {
    if (v) {
      inputs.push_back(v);
      maps.push_back(map);
    }
  };
  use(s.mean, some);
  use(scale, scaleMap);
  use(bias, biasMap);
  return mapWith(ctx, inputs, maps, dims, stored,
                 [&](OpBuilder &b, Location loc, ValueRange a) {
                   unsigned next = 2;
                   Value v = a[0];
                   if (s.mean)
                     v = subf(b, loc, v, a[next++]);
                   v = mulf(b, loc, v, a[1]);
                   if (scale)
                     v = mulf(b, loc, v, a[next++]);
                   if (bias)
                     v = addf(b, loc, v, a[next++]);
                   return v;
                 });
}

//===----------------------------------------------------------------------===//
// LayerNormalization, RMSNormalization
//===----------------------------------------------------------------------===//

LogicalResult inferLayerNorm(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", -1), in.rank());
  if (failed(axis) || failed(requireType(ctx, 0, isFloat, "a float tensor")))
    return failure();
  for (unsigned i = 1; i < ctx.numInputs(); ++i) {
    if (!ctx.hasInput(i))
      continue;
    if (failed(requireType(ctx, i, isFloat, "a float tensor")))
      return failure();
    FailureOr<SmallVector<Dim>> dims = ctx.broadcast(in.dims, ctx.in(i).dims);
    if (failed(dims))
      return failure();
    bool grows = dims->size() != in.dims.size();
    for (size_t d = 0; !grows && d < dims->size(); ++d)
      grows = in.dims[d].isConst() && (*dims)[d] != in.dims[d];
    if (grows)
      return ctx.error("input " + Twine(i) + " " + ctx.in(i).str() +
                       " cannot be broadcast to " + in.str());
  }
  ctx.out(0).elementType = in.elementType;
  ctx.out(0).dims = in.dims;
  for (unsigned i = 1; i < ctx.numOutputs(); ++i) {
    if (!ctx.hasOutput(i))
      continue;
    // stash_type asks for f32 at least, which f64 inputs exceed.
    ctx.out(i).elementType = computeType(in.elementType);
    for (int64_t d = 0; d < in.rank(); ++d)
      ctx.out(i).dims.push_back(d < *axis ? in.dims[d] : ctx.c(1));
  }
  return success();
}

LogicalResult expandLayerNorm(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  bool centered = ctx.type() == "LayerNormalization";
  int64_t axis = ctx.intAttr("axis", -1);
  axis = axis < 0 ? axis + in.rank() : axis;
  Mask mask(in.rank(), false);
  for (int64_t d = axis; d < in.rank(); ++d)
    mask[d] = true;
  Type type = computeType(in.elementType);
  Value x = input(ctx, 0), parameters[2];
  AffineMap maps[2];
  for (unsigned i : {1u, 2u})
    if (ctx.hasInput(i)) {
      parameters[i - 1] = input(ctx, i);
      maps[i - 1] = broadcastMap(ctx, ctx.inInfo(i).dims, in.dims);
    }
  Statistics s = statistics(ctx, x, in.dims, mask, type,
                            ctx.floatAttr("epsilon", 1e-5), centered);
  give(ctx, 0,
       normalize(ctx, x, in.dims, mask, s, parameters[0], maps[0],
                 parameters[1], maps[1],
                 ExpandContext::converted(in.elementType)));
  SmallVector<Dim> left = kept(in.dims, mask);
  Value extra[] = {s.mean, s.inverse};
  for (unsigned i : {1u, 2u})
    if (i < ctx.numOutputs() && ctx.hasOutput(i))
      give(ctx, i, reshape(ctx, extra[i - 1], left, ctx.outInfo(i).dims));
  return success();
}

//===----------------------------------------------------------------------===//
// BatchNormalization, InstanceNormalization, GroupNormalization
//===----------------------------------------------------------------------===//

/// Inputs from `first` are vectors over `size`.
LogicalResult requireVectors(InferContext &ctx, unsigned first, Dim size) {
  for (unsigned i = first; i < ctx.numInputs(); ++i) {
    if (!ctx.hasInput(i))
      return ctx.error("input " + Twine(i) + " is missing");
    const ValueInfo &v = ctx.in(i);
    bool fits = v.rank() == 1 && isFloat(v.elementType) &&
                (v.dims[0] == size || !v.dims[0].isConst() || !size.isConst());
    if (!fits)
      return ctx.error("input " + Twine(i) + " must be a float vector of " +
                       size.str() + "; found " + v.str());
  }
  return success();
}

LogicalResult inferChannelNorm(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")))
    return failure();
  if (in.rank() < 2)
    return ctx.error("the input must have rank 2 or more; found " + in.str());
  ctx.out(0).elementType = in.elementType;
  ctx.out(0).dims = in.dims;
  return success();
}

/// With the batch's own statistics, which the running ones follow.
LogicalResult trainBatchNorm(Composer &g) {
  Value x = g.in(0);
  SmallVector<int64_t> others;
  for (int64_t d = 0; d < g.rank(x); ++d)
    if (d != 1)
      others.push_back(d);
  Value mean = g.reduce("ReduceMean", x, others);
  Value centered = g.sub(x, mean);
  Value variance = g.reduce("ReduceMean", g.mul(centered, centered), others);
  Value flatMean = g.node("Squeeze", {mean, g.integers(others)});
  Value flatVariance = g.node("Squeeze", {variance, g.integers(others)});
  Value y = g.node("BatchNormalization",
                   {x, g.in(1), g.in(2), flatMean, flatVariance},
                   {g.attr("epsilon", g.floatAttr("epsilon", 1e-5))});
  g.give(0, y);
  double momentum = g.floatAttr("momentum", 0.9);
  auto follow = [&](unsigned i, Value now) {
    Type type = g.type(g.in(i));
    return g.add(g.mul(g.in(i), g.number(momentum, type)),
                 g.mul(g.cast(now, type), g.number(1 - momentum, type)));
  };
  g.give(1, follow(3, flatMean));
  g.give(2, follow(4, flatVariance));
  return success();
}

LogicalResult inferBatchNorm(InferContext &ctx) {
  if (failed(inferChannelNorm(ctx)) ||
      failed(requireVectors(ctx, 1, ctx.in(0).dims[1])))
    return failure();
  if (ctx.intAttr("training_mode", 0) != 0)
    return inferComposed(ctx, trainBatchNorm);
  for (unsigned i = 1; i < ctx.numOutputs(); ++i)
    if (ctx.hasOutput(i))
      return ctx.unsupported("training mode of opsets before 14: export for "
                             "inference");
  return success();
}

LogicalResult expandBatchNorm(ExpandContext &ctx) {
  if (ctx.intAttr("training_mode", 0) != 0)
    return expandComposed(ctx, trainBatchNorm);
  const ValueInfo &in = ctx.inInfo(0);
  double epsilon = ctx.floatAttr("epsilon", 1e-5);
  Type type = computeType(in.elementType);
  AffineMap channel =
      AffineMap::get(in.rank(), 0, {getAffineDimExpr(1, ctx.b.getContext())});
  SmallVector<Value> inputs = {input(ctx, 0)};
  SmallVector<AffineMap> maps = {ctx.b.getMultiDimIdentityMap(in.rank())};
  for (unsigned i = 1; i < 5; ++i) {
    if (ctx.inInfo(i).dims[0] != in.dims[1])
      ctx.checkEqual(ctx.inInfo(i).dims[0], in.dims[1], "the channels");
    inputs.push_back(input(ctx, i));
    maps.push_back(channel);
  }
  auto body = [&](OpBuilder &b, Location loc, ValueRange a) {
    SmallVector<Value> v;
    for (Value x : a)
      v.push_back(x.getType() == type ? x : narrow(b, loc, x, type));
    Value root = math::SqrtOp::create(
        b, loc, addf(b, loc, v[4], scalar(b, loc, type, epsilon)));
    Value scaled = divf(b, loc, v[1], root);
    return addf(b, loc, mulf(b, loc, subf(b, loc, v[0], v[3]), scaled), v[2]);
  };
  give(ctx, 0,
       mapWith(ctx, inputs, maps, in.dims,
               ExpandContext::converted(in.elementType), body));
  return success();
}

LogicalResult inferInstanceNorm(InferContext &ctx) {
  if (failed(inferChannelNorm(ctx)))
    return failure();
  return requireVectors(ctx, 1, ctx.in(0).dims[1]);
}

LogicalResult expandInstanceNorm(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  Mask mask(in.rank(), true);
  mask[0] = mask[1] = false;
  Type type = computeType(in.elementType);
  AffineMap channel =
      AffineMap::get(in.rank(), 0, {getAffineDimExpr(1, ctx.b.getContext())});
  for (unsigned i : {1u, 2u})
    if (ctx.inInfo(i).dims[0] != in.dims[1])
      ctx.checkEqual(ctx.inInfo(i).dims[0], in.dims[1], "the channels");
  Value x = input(ctx, 0);
  Statistics s = statistics(ctx, x, in.dims, mask, type,
                            ctx.floatAttr("epsilon", 1e-5), true);
  give(ctx, 0,
       normalize(ctx, x, in.dims, mask, s, input(ctx, 1), channel,
                 input(ctx, 2), channel,
                 ExpandContext::converted(in.elementType)));
  return success();
}

LogicalResult inferGroupNorm(InferContext &ctx) {
  if (failed(inferChannelNorm(ctx)))
    return failure();
  int64_t groups = ctx.intAttr("num_groups", 0);
  Dim channels = ctx.in(0).dims[1];
  if (groups < 1 || !divide(productOf(channels), productOf(ctx.c(groups))))
    return ctx.error("num_groups = " + Twine(groups) + " does not divide the " +
                     channels.str() + " channels");
  // From opset 21 scale and bias are of channels; before, of groups.
  return requireVectors(ctx, 1, ctx.opset() >= 21 ? channels : ctx.c(groups));
}

LogicalResult expandGroupNorm(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  Dim groups = ctx.dims.constant(ctx.intAttr("num_groups", 1));
  Dim inGroup =
      toDim(ctx.dims, *divide(productOf(in.dims[1]), productOf(groups)));
  SmallVector<Dim> dims = {in.dims[0], groups, inGroup};
  dims.append(in.dims.begin() + 2, in.dims.end());
  Mask mask(dims.size(), true);
  mask[0] = mask[1] = false;
  Type type = computeType(in.elementType);
  MLIRContext *context = ctx.b.getContext();
  AffineExpr g = getAffineDimExpr(1, context), c = getAffineDimExpr(2, context);
  Value parameters[2];
  AffineMap map = AffineMap::get(dims.size(), 0, {g});
  for (unsigned i : {1u, 2u}) {
    parameters[i - 1] = input(ctx, i);
    if (ctx.opset() < 21)
      continue;
    map = AffineMap::get(dims.size(), 0, {g, c}, context);
    Dim have = ctx.inInfo(i).dims[0];
    if (have != in.dims[1])
      ctx.checkEqual(have, in.dims[1], "the channels");
    parameters[i - 1] = reshape(
        ctx,
        castTo(ctx, parameters[i - 1],
               tensorType({in.dims[1]},
                          ExpandContext::converted(ctx.inInfo(i).elementType))),
        {in.dims[1]}, {groups, inGroup});
  }
  Value x = reshape(ctx, input(ctx, 0), in.dims, dims);
  Statistics s = statistics(ctx, x, dims, mask, type,
                            ctx.floatAttr("epsilon", 1e-5), true);
  Value y = normalize(ctx, x, dims, mask, s, parameters[0], map, parameters[1],
                      map, ExpandContext::converted(in.elementType));
  give(ctx, 0, reshape(ctx, y, dims, in.dims));
  return success();
}

template <LogicalResult (*infer)(InferContext &),
          LogicalResult (*expand)(ExpandContext &)>
OpEntry row(StringRef name, unsigned minInputs, unsigned maxInputs,
            int64_t since = kFirstOpset) {
  return entry<infer, expand>(name, minInputs, maxInputs, since);
}

} // namespace

void addNormalizationOps(std::vector<OpEntry> &t) {
  t.push_back(row<inferSoftmax, expandSoftmax>("Softmax", 1, 1));
  t.push_back(row<inferSoftmax, expandSoftmax>("LogSoftmax", 1, 1));
  t.push_back(
      row<inferLayerNorm, expandLayerNorm>("LayerNormalization", 2, 3, 17));
  t.push_back(
      row<inferLayerNorm, expandLayerNorm>("RMSNormalization", 2, 2, 23));
  t.push_back(row<inferBatchNorm, expandBatchNorm>("BatchNormalization", 5, 5));
  t.push_back(row<inferInstanceNorm, expandInstanceNorm>(
      "InstanceNormalization", 3, 3));
  t.push_back(
      row<inferGroupNorm, expandGroupNorm>("GroupNormalization", 3, 3, 18));
}

} // namespace lnn::onnx
