//===- OpsConvolution.cpp - convolutions of any rank ----------------------===//
//
// The input is padded by a copy; the convolution is one linalg.generic whose
// sum ascends over the channels of a group, then the kernel.
//
//===----------------------------------------------------------------------===//
#include "OpContraction.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

struct Window {
  int64_t group = 1;
  SmallVector<int64_t> strides, dilations;
  SmallVector<Dim> before, after, out; ///< padding and result's sizes
};

/// A list attribute of `n` numbers in [least, 2^20], or `otherwise` throughout.
LogicalResult listAttr(NodeView &node, StringRef name, size_t n, int64_t least,
                       int64_t otherwise, SmallVector<int64_t> &values) {
  values.assign(n, otherwise);
  if (auto given = node.intsAttr(name))
    values = *given;
  bool valid = values.size() == n && llvm::all_of(values, [&](int64_t v) {
                 return v >= least && v <= (1 << 20);
               });
  return valid ? success()
               : node.error(name + " must be " + Twine(n) +
                            " numbers of at least " + Twine(least));
}

/// The padding before one dimension and the result's size along it.
void placeWindow(DimContext &c, StringRef autoPad, Dim size, int64_t extent,
                 int64_t stride, Dim &before, Dim &after, Dim &out) {
  Dim zero = c.constant(0), by = c.constant(stride);
  if (autoPad == "VALID")
    before = after = zero;
  if (autoPad != "SAME_UPPER" && autoPad != "SAME_LOWER") {
    Dim span = addDims(c, addDims(c, size, before), after);
    span = subDims(c, span, c.constant(extent));
    out = addDims(c, stride == 1 ? span : c.floorDiv(span, by), c.constant(1));
    return;
  }
  out = stride == 1 ? size : c.ceilDiv(size, by);
  Dim reach = addDims(c, mulDims(c, subDims(c, out, c.constant(1)), by),
                      c.constant(extent));
  Dim total = maxDims(c, subDims(c, reach, size), zero);
  Dim half = c.floorDiv(total, c.constant(2)), rest = subDims(c, total, half);
  before = autoPad == "SAME_UPPER" ? half : rest;
  after = autoPad == "SAME_UPPER" ? rest : half;
}

LogicalResult windowOf(NodeView &node, DimContext &c, InfoFn in, Window &w) {
  const ValueInfo &x = in(0), &k = in(1);
  size_t n = x.rank() - 2;
  StringRef autoPad = node.strAttr("auto_pad", "NOTSET");
  if (autoPad != "NOTSET" && autoPad != "VALID" && autoPad != "SAME_UPPER" &&
      autoPad != "SAME_LOWER")
    return node.error("auto_pad \"" + autoPad + "\" is unknown");
  SmallVector<int64_t> pads;
  if (failed(listAttr(node, "strides", n, 1, 1, w.strides)) ||
      failed(listAttr(node, "dilations", n, 1, 1, w.dilations)) ||
      failed(listAttr(node, "pads", 2 * n, 0, 0, pads)))
    return failure();
  auto shape = node.intsAttr("kernel_shape");
  for (size_t i = 0; i < n; ++i) {
    Dim size = k.dims[i + 2];
    if (!size.isConst() || size.value() < 1 || size.value() > (1 << 20))
      return node.unsupported(
          "the kernel's sizes must be constant and positive; "
          "found " +
          k.str());
    if (shape && (shape->size() != n || (*shape)[i] != size.value()))
      return node.error("kernel_shape does not agree with the kernel " +
                        k.str());
    Dim before = c.constant(pads[i]), after = c.constant(pads[n + i]), out;
    int64_t extent = w.dilations[i] * (size.value() - 1) + 1;
    placeWindow(c, autoPad, x.dims[i + 2], extent, w.strides[i], before, after,
                out);
    if (out.isConst() && out.value() < 0)
      out = c.constant(0);
    w.before.push_back(before);
    w.after.push_back(after);
    w.out.push_back(out);
  }
  return success();
}

/// The input's channels: those of the kernel, where the input does not say.
Dim channelsOf(DimContext &c, Dim given, Dim kernel, int64_t group) {
  return given.isConst() ? given : mulDims(c, kernel, c.constant(group));
}

/// The number of channels of one group, or null where it is not whole.
Dim perGroup(DimContext &c, Dim channels, int64_t group) {
  auto part = divide(productOf(channels), productOf(c.constant(group)));
  return part ? toDim(c, *part) : Dim();
}

LogicalResult inferConv(InferContext &ctx) {
  const ValueInfo &x = ctx.in(0), &k = ctx.in(1);
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")) ||
      failed(sameElementType(ctx, 0, 1)))
    return failure();
  if (x.rank() < 3 || x.rank() != k.rank())
    return ctx.error("the input and the kernel must have one rank of at least "
                     "3; found " +
                     x.str() + " and " + k.str());
  int64_t group = ctx.intAttr("group", 1);
  Dim all = channelsOf(ctx.dims, x.dims[1], k.dims[1], group);
  Dim channels = group >= 1 ? perGroup(ctx.dims, all, group) : Dim();
  Dim features = group >= 1 ? perGroup(ctx.dims, k.dims[0], group) : Dim();
  if (!channels || !features ||
      (channels != k.dims[1] && channels.isConst() && k.dims[1].isConst()))
    return ctx.error("group = " + Twine(group) + " does not fit the input " +
                     x.str() + " and the kernel " + k.str());
  if (ctx.hasInput(2) &&
      (ctx.in(2).rank() != 1 || ctx.in(2).elementType != x.elementType ||
       (ctx.in(2).dims[0] != k.dims[0] && ctx.in(2).dims[0].isConst() &&
        k.dims[0].isConst())))
    return ctx.error("the bias " + ctx.in(2).str() +
                     " does not fit the kernel " + k.str());
  Window w;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(windowOf(ctx, ctx.dims, in, w)))
    return failure();
  ctx.out(0).elementType = x.elementType;
  ctx.out(0).dims = {x.dims[0], k.dims[0]};
  ctx.out(0).dims.append(w.out);
  return success();
}

/// The input within zeros; `dims` becomes the padded shape.
Value pad(ExpandContext &ctx, Value x, const Window &w,
          SmallVector<Dim> &dims) {
  bool none = true;
  SmallVector<Dim> from = dims;
  SmallVector<OpFoldResult> offsets = zeros(ctx, dims.size());
  for (size_t i = 0; i < w.before.size(); ++i) {
    none &= w.before[i].isConst(0) && w.after[i].isConst(0);
    offsets[i + 2] = ctx.size(w.before[i]);
    dims[i + 2] = addDims(ctx.dims, addDims(ctx.dims, dims[i + 2], w.before[i]),
                          w.after[i]);
  }
  if (none)
    return x;
  Type element = cast<RankedTensorType>(x.getType()).getElementType();
  Value whole = ctx.filled(dims, scalarAttr(element, 0));
  return insert(ctx, x, whole, offsets, from);
}

/// Channels split into groups, where there is more than one.
Value splitGroups(ExpandContext &ctx, Value v, SmallVector<Dim> &dims,
                  unsigned at, int64_t group) {
  if (group == 1)
    return v;
  SmallVector<Dim> to = dims;
  to[at] = perGroup(ctx.dims, dims[at], group);
  to.insert(to.begin() + at, ctx.dims.constant(group));
  v = reshape(ctx, v, dims, to);
  dims = to;
  return v;
}

/// Maps over (n, [group], feature, out..., channel, kernel...).
SmallVector<AffineMap> convolutionMaps(MLIRContext *context, const Window &w) {
  unsigned next = 0, n = w.out.size();
  auto dim = [&](unsigned count) {
    SmallVector<AffineExpr> exprs;
    for (unsigned i = 0; i < count; ++i)
      exprs.push_back(getAffineDimExpr(next++, context));
    return exprs;
  };
  auto batch = dim(1), group = dim(w.group > 1), feature = dim(1), out = dim(n),
       channel = dim(1), kernel = dim(n);
  SmallVector<AffineExpr> x = batch, k = group, y = batch;
  llvm::append_range(x, group);
  llvm::append_range(x, channel);
  for (unsigned i = 0; i < n; ++i)
    x.push_back(out[i] * w.strides[i] + kernel[i] * w.dilations[i]);
  llvm::append_range(k, feature);
  llvm::append_range(k, channel);
  llvm::append_range(k, kernel);
  llvm::append_range(y, group);
  llvm::append_range(y, feature);
  llvm::append_range(y, out);
  auto map = [&](ArrayRef<AffineExpr> e) {
    return AffineMap::get(next, 0, e, context);
  };
  return {map(x), map(k), map(y)};
}

/// Adds the bias and stores.
Value finish(ExpandContext &ctx, Value y, Type stored) {
  const ValueInfo &out = ctx.outInfo(0);
  if (!ctx.hasInput(2))
    return store(ctx, y, out.dims, stored);
  if (ctx.inInfo(2).dims[0] != out.dims[1])
    ctx.checkEqual(ctx.inInfo(2).dims[0], out.dims[1], "the bias");
  AffineMap identity = ctx.b.getMultiDimIdentityMap(out.rank());
  AffineMap feature =
      AffineMap::get(out.rank(), 0, {getAffineDimExpr(1, ctx.b.getContext())});
  return generic(ctx, {y, input(ctx, 2)}, {identity, feature, identity},
                 ctx.empty(out), [&](OpBuilder &b, Location loc, ValueRange a) {
                   Value v =
                       arith::AddFOp::create(b, loc, a[0], widen(b, loc, a[1]));
                   return narrow(b, loc, v, stored);
                 });
}

LogicalResult expandConv(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  Window w;
  w.group = ctx.intAttr("group", 1);
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(windowOf(ctx, ctx.dims, in, w)))
    return failure();
  for (Dim d : w.out)
    if (!isNonNegative(d))
      check(ctx,
            arith::CmpIOp::create(
                ctx.b, ctx.loc, arith::CmpIPredicate::sge, ctx.index(d),
                arith::ConstantIndexOp::create(ctx.b, ctx.loc, 0)),
            "the input must not be smaller than the kernel");
  SmallVector<Dim> xDims = ctx.inInfo(0).dims, kDims = ctx.inInfo(1).dims,
                   yDims = out.dims;
  Dim channels = channelsOf(ctx.dims, xDims[1], kDims[1], w.group);
  if (channels != xDims[1])
    ctx.checkEqual(xDims[1], channels, "the channels");
  xDims[1] = channels;
  Type stored = ExpandContext::converted(out.elementType);
  Value x = castTo(ctx, input(ctx, 0), tensorType(xDims, stored));
  x = pad(ctx, x, w, xDims);
  x = splitGroups(ctx, x, xDims, 1, w.group);
  Value k = splitGroups(ctx, input(ctx, 1), kDims, 0, w.group);
  SmallVector<Dim> split = yDims;
  if (w.group > 1) {
    split[1] = perGroup(ctx.dims, yDims[1], w.group);
    split.insert(split.begin() + 1, ctx.dims.constant(w.group));
  }
  Value y = contract(ctx, x, k, convolutionMaps(ctx.b.getContext(), w), split,
                     computeType(out.elementType));
  give(ctx, 0, finish(ctx, reshape(ctx, y, split, yDims), stored));
  return success();
}

} // namespace

void addConvolutionOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferConv, expandConv>("Conv", 2, 3));
}

} // namespace lnn::onnx
