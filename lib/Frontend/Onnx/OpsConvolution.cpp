//===- OpsConvolution.cpp - convolutions of any rank ----------------------===//
//
// The input is padded by a copy; the convolution is one linalg.generic whose
// sum ascends over the channels of a group, then the kernel.
//
//===----------------------------------------------------------------------===//
#include "OpContraction.h"
#include "OpWindow.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

LogicalResult windowOf(NodeView &node, DimContext &c, InfoFn in, Window &w) {
  ArrayRef<Dim> x = in(0).dims, k = in(1).dims;
  w.group = node.intAttr("group", 1);
  if (failed(windowShape(node, x.size() - 2, k.drop_front(2), w)))
    return failure();
  return placeWindows(node, c, x.drop_front(2), w);
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
  // ConvInteger and QLinearConv are int32 ones.
  auto allowed = [](Type type) { return isFloat(type) || type.isInteger(32); };
  if (failed(requireType(ctx, 0, allowed, "a float tensor")) ||
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

/// Maps over (n, [group], feature, out..., channel, kernel...). A transposed
/// convolution's input is spread out already, its kernel has channels first.
SmallVector<AffineMap> convolutionMaps(MLIRContext *context, const Window &w,
                                       bool transposed) {
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
    x.push_back(out[i] * (transposed ? 1 : w.strides[i]) +
                kernel[i] * w.dilations[i]);
  llvm::append_range(k, transposed ? channel : feature);
  llvm::append_range(k, transposed ? feature : channel);
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
  return generic(
      ctx, {y, input(ctx, 2)}, {identity, feature, identity}, ctx.empty(out),
      [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
        if (isa<IntegerType>(a[0].getType()))
          return arith::AddIOp::create(b, loc, a[0], a[1]);
        Value v = arith::AddFOp::create(b, loc, a[0], widen(b, loc, a[1]));
        return narrow(b, loc, v, stored);
      });
}

LogicalResult expandConv(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  Window w;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(windowOf(ctx, ctx.dims, in, w)))
    return failure();
  checkWindows(ctx, w);
  SmallVector<Dim> xDims = ctx.inInfo(0).dims, kDims = ctx.inInfo(1).dims,
                   yDims = out.dims;
  Dim channels = channelsOf(ctx.dims, xDims[1], kDims[1], w.group);
  if (channels != xDims[1])
    ctx.checkEqual(xDims[1], channels, "the channels");
  xDims[1] = channels;
  Type stored = ExpandContext::converted(out.elementType);
  Value x = castTo(ctx, input(ctx, 0), tensorType(xDims, stored));
  x = padWindow(ctx, x, w, xDims, scalarAttr(stored, 0));
  x = splitGroups(ctx, x, xDims, 1, w.group);
  Value k = splitGroups(ctx, input(ctx, 1), kDims, 0, w.group);
  SmallVector<Dim> split = yDims;
  if (w.group > 1) {
    split[1] = perGroup(ctx.dims, yDims[1], w.group);
    split.insert(split.begin() + 1, ctx.dims.constant(w.group));
  }
  Value y = contract(ctx, x, k, convolutionMaps(ctx.b.getContext(), w, false),
                     split, computeType(out.elementType));
  give(ctx, 0, finish(ctx, reshape(ctx, y, split, yDims), stored));
  return success();
}

//===----------------------------------------------------------------------===//
// ConvTranspose
//===----------------------------------------------------------------------===//

/// Padding, before and after, and sizes of what a ConvTranspose makes.
LogicalResult transposedWindow(NodeView &node, DimContext &c, InfoFn in,
                               Window &w) {
  ArrayRef<Dim> x = in(0).dims, k = in(1).dims;
  size_t n = x.size() - 2;
  w.group = node.intAttr("group", 1);
  FailureOr<StringRef> mode = autoPad(node);
  SmallVector<int64_t> pads, more, shape;
  if (failed(mode) || failed(windowShape(node, n, k.drop_front(2), w)) ||
      failed(listAttr(node, "pads", 2 * n, 0, 0, pads)) ||
      failed(listAttr(node, "output_padding", n, 0, 0, more)))
    return failure();
  bool asked = node.hasAttr("output_shape");
  if (asked && node.intsAttr("output_shape").value_or(shape).size() == n + 2)
    return node.unsupported("output_shape with batch and channels");
  if (asked && failed(listAttr(node, "output_shape", n, 0, 0, shape)))
    return failure();
  for (size_t i = 0; i < n; ++i) {
    Dim stride = c.constant(w.strides[i]), one = c.constant(1);
    Dim all = addDims(c, mulDims(c, subDims(c, x[i + 2], one), stride),
                      c.constant(w.extent(i) + more[i]));
    Dim before = c.constant(pads[i]), after = c.constant(pads[n + i]), out;
    if (asked || mode->starts_with("SAME")) {
      out = asked ? c.constant(shape[i]) : mulDims(c, x[i + 2], stride);
      Dim total = subDims(c, all, out);
      if (total && total.isConst() && total.value() < 0)
        total = c.constant(0);
      Dim half = total ? c.floorDiv(total, c.constant(2)) : Dim();
      Dim rest = subDims(c, total, half);
      before = *mode == "SAME_UPPER" ? half : rest;
      after = *mode == "SAME_UPPER" ? rest : half;
    } else {
      if (*mode == "VALID")
        before = after = c.constant(0);
      out = subDims(c, subDims(c, all, before), after);
    }
    w.before.push_back(before);
    w.after.push_back(after);
    w.out.push_back(out);
  }
  return success();
}

LogicalResult inferConvTranspose(InferContext &ctx) {
  const ValueInfo &x = ctx.in(0), &k = ctx.in(1);
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")) ||
      failed(sameElementType(ctx, 0, 1)))
    return failure();
  if (x.rank() < 3 || x.rank() != k.rank())
    return ctx.error("the input and the kernel must have one rank of at least "
                     "3; found " +
                     x.str() + " and " + k.str());
  int64_t group = ctx.intAttr("group", 1);
  Dim channels = x.dims[1].isConst() ? x.dims[1] : k.dims[0];
  if (group < 1 || !perGroup(ctx.dims, channels, group) ||
      (channels != k.dims[0] && channels.isConst() && k.dims[0].isConst()))
    return ctx.error("group = " + Twine(group) + " does not fit the input " +
                     x.str() + " and the kernel " + k.str());
  Dim features = mulDims(ctx.dims, k.dims[1], ctx.c(group));
  if (ctx.hasInput(2) &&
      (ctx.in(2).rank() != 1 || ctx.in(2).elementType != x.elementType ||
       (ctx.in(2).dims[0] != features && ctx.in(2).dims[0].isConst() &&
        features.isConst())))
    return ctx.error("the bias " + ctx.in(2).str() +
                     " does not fit the kernel " + k.str());
  Window w;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(transposedWindow(ctx, ctx.dims, in, w)))
    return failure();
  ctx.out(0).elementType = x.elementType;
  ctx.out(0).dims = {x.dims[0], features};
  ctx.out(0).dims.append(w.out);
  return success();
}

/// The input with zeros between its elements (strides) and around them, so that
/// a window at each output reads what reaches it; `dims` becomes its shape.
Value spread(ExpandContext &ctx, Value x, const Window &w,
             SmallVector<Dim> &dims) {
  DimContext &c = ctx.dims;
  size_t rank = dims.size();
  SmallVector<Dim> wide = dims, part = dims, whole = dims;
  SmallVector<OpFoldResult> strides(rank, ctx.b.getIndexAttr(1));
  SmallVector<OpFoldResult> from = zeros(ctx, rank), to = from;
  Dim zero = c.constant(0), one = c.constant(1);
  for (size_t i = 0; i < w.out.size(); ++i) {
    size_t d = i + 2;
    wide[d] = maxDims(
        c,
        addDims(c,
                mulDims(c, subDims(c, dims[d], one), c.constant(w.strides[i])),
                one),
        zero);
    strides[d] = ctx.b.getIndexAttr(w.strides[i]);
    // Where padding is more than the window reaches, elements are cut off.
    Dim shift = subDims(c, c.constant(w.extent(i) - 1), w.before[i]);
    Dim start = maxDims(c, subDims(c, zero, shift), zero);
    Dim place = maxDims(c, shift, zero);
    whole[d] = addDims(c, w.out[i], c.constant(w.extent(i) - 1));
    part[d] = maxDims(
        c, minDims(c, subDims(c, wide[d], start), subDims(c, whole[d], place)),
        zero);
    from[d] = ctx.size(start);
    to[d] = ctx.size(place);
  }
  TypedAttr none =
      scalarAttr(cast<RankedTensorType>(x.getType()).getElementType(), 0);
  if (wide != dims)
    x = tensor::InsertSliceOp::create(ctx.b, ctx.loc, x, ctx.filled(wide, none),
                                      zeros(ctx, rank), sizesOf(ctx, dims),
                                      strides);
  if (part != wide)
    x = slice(ctx, x, from, part, {});
  if (part != whole)
    x = insert(ctx, x, ctx.filled(whole, none), to, part);
  dims = whole;
  return x;
}

/// The kernel with every window dimension backwards.
Value flipped(ExpandContext &ctx, const Window &w) {
  const ValueInfo &k = ctx.inInfo(1);
  Value kernel = input(ctx, 1);
  return generate(ctx, k, [&](OpBuilder &b, Location loc, ValueRange at) {
    SmallVector<Value> place(at);
    for (size_t i = 0; i < w.kernel.size(); ++i)
      place[i + 2] = arith::SubIOp::create(
          b, loc, arith::ConstantIndexOp::create(b, loc, w.kernel[i] - 1),
          at[i + 2]);
    return tensor::ExtractOp::create(b, loc, kernel, place);
  });
}

LogicalResult expandConvTranspose(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  Window w;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(transposedWindow(ctx, ctx.dims, in, w)))
    return failure();
  checkWindows(ctx, w);
  SmallVector<Dim> xDims = ctx.inInfo(0).dims, kDims = ctx.inInfo(1).dims,
                   yDims = out.dims;
  if (xDims[1] != kDims[0]) {
    ctx.checkEqual(xDims[1], kDims[0], "the channels");
    xDims[1] = kDims[0];
  }
  Type stored = ExpandContext::converted(out.elementType);
  Value x = castTo(ctx, input(ctx, 0), tensorType(xDims, stored));
  x = spread(ctx, x, w, xDims);
  x = splitGroups(ctx, x, xDims, 1, w.group);
  Value k = splitGroups(ctx, flipped(ctx, w), kDims, 0, w.group);
  SmallVector<Dim> split = yDims;
  if (w.group > 1) {
    split[1] = ctx.inInfo(1).dims[1];
    split.insert(split.begin() + 1, ctx.dims.constant(w.group));
  }
  Value y = contract(ctx, x, k, convolutionMaps(ctx.b.getContext(), w, true),
                     split, computeType(out.elementType));
  give(ctx, 0, finish(ctx, reshape(ctx, y, split, yDims), stored));
  return success();
}

} // namespace

void addConvolutionOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferConv, expandConv>("Conv", 2, 3));
  t.push_back(
      entry<inferConvTranspose, expandConvTranspose>("ConvTranspose", 2, 3));
}

} // namespace lnn::onnx
