//===- OpsShape.cpp - operators that move elements ------------------------===//
//
// Reshapes, slices, concatenation, gathers and scatters. What is an index in
// the model is clamped where it is used and checked with a message beside it.
//
//===----------------------------------------------------------------------===//
#include "OpHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

Type i64(InferContext &ctx) {
  return IntegerType::get(ctx.op.getContext(), 64);
}

Value cmpi(ExpandContext &ctx, arith::CmpIPredicate p, Value l, Value r) {
  return arith::CmpIOp::create(ctx.b, ctx.loc, p, l, r);
}
Value constIndex(ExpandContext &ctx, int64_t v) {
  return arith::ConstantIndexOp::create(ctx.b, ctx.loc, v);
}

/// Says at run time that a size computed by the model is not negative.
void checkNonNegative(ExpandContext &ctx, ArrayRef<Dim> dims) {
  for (Dim d : dims)
    if (!isNonNegative(d))
      check(ctx,
            cmpi(ctx, arith::CmpIPredicate::sge, ctx.index(d),
                 constIndex(ctx, 0)),
            "the size " + d.str() + " must not be negative");
}

//===----------------------------------------------------------------------===//
// Shape, Size
//===----------------------------------------------------------------------===//

LogicalResult inferShape(InferContext &ctx) {
  int64_t rank = ctx.in(0).rank();
  auto clamp = [&](int64_t v) {
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  int64_t start = clamp(std::max<int64_t>(ctx.intAttr("start", 0), -rank));
  int64_t end = clamp(std::max<int64_t>(ctx.intAttr("end", rank), -rank - 1));
  if (ctx.intAttr("end", rank) < -rank)
    end = 0;
  SmallVector<Dim> data;
  for (int64_t i = start; i < end; ++i)
    data.push_back(ctx.in(0).dims[i]);
  ctx.out(0).elementType = i64(ctx);
  ctx.out(0).dims = {ctx.c(data.size())};
  setData(ctx.out(0), std::move(data));
  return success();
}

LogicalResult inferSize(InferContext &ctx) {
  Product p = productOf(ctx.in(0).dims);
  if (p.overflow)
    return ctx.error("the number of elements overflows");
  ctx.out(0).elementType = i64(ctx);
  ctx.out(0).dims = {};
  setData(ctx.out(0), {toDim(ctx.dims, p)});
  return success();
}

/// Shape's and Size's results are known, which giveKnown has used.
LogicalResult expandNever(ExpandContext &ctx) {
  return ctx.unsupported("the result is too large to compute");
}

//===----------------------------------------------------------------------===//
// Reshape, Flatten, Squeeze, Unsqueeze
//===----------------------------------------------------------------------===//

/// The same elements in another shape: contents stay known.
LogicalResult moveInfo(InferContext &ctx, SmallVector<Dim> dims) {
  Product from = productOf(ctx.in(0).dims), to = productOf(dims);
  if (from.overflow || to.overflow)
    return ctx.error("the number of elements overflows");
  if (from.factors.empty() && to.factors.empty() && !(from == to))
    return ctx.error("cannot take " + ctx.in(0).str() + " of " +
                     Twine(from.coefficient) + " elements to a shape of " +
                     Twine(to.coefficient));
  ValueInfo &out = ctx.out(0);
  out.elementType = ctx.in(0).elementType;
  out.dims = std::move(dims);
  if (const SmallVector<Dim> *data = dataOf(ctx, 0))
    setData(out, *data);
  return success();
}

LogicalResult expandReshape(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  checkNonNegative(ctx, to.dims);
  Product have = productOf(from.dims), want = productOf(to.dims);
  if (!(have == want))
    ctx.checkEqual(toDim(ctx.dims, have), toDim(ctx.dims, want),
                   "the number of elements before and after");
  give(ctx, 0, reshape(ctx, input(ctx, 0), from.dims, to.dims));
  return success();
}

/// The requested sizes with 0 (copy) resolved; `rest` is the place of -1.
LogicalResult requestedSizes(InferContext &ctx, SmallVector<Dim> &dims,
                             std::optional<size_t> &rest) {
  bool zeroCopies = ctx.intAttr("allowzero", 0) == 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].isConst(0) && zeroCopies) {
      if (i >= ctx.in(0).dims.size())
        return ctx.error("shape[" + Twine(i) +
                         "] is 0 (copy), but input 0 is " + ctx.in(0).str());
      dims[i] = ctx.in(0).dims[i];
    } else if (dims[i].isConst(-1)) {
      if (rest)
        return ctx.error("shape holds -1 twice");
      rest = i;
    } else if (dims[i].isConst() && dims[i].value() < 0) {
      return ctx.error("shape[" + Twine(i) + "] is " + Twine(dims[i].value()));
    }
  }
  return success();
}

LogicalResult inferReshape(InferContext &ctx) {
  const SmallVector<Dim> *shape = dataOf(ctx, 1);
  if (!shape)
    return ctx.unsupported("the shape (input 1) must be known from constants "
                           "and the sizes of inputs");
  SmallVector<Dim> dims = *shape;
  std::optional<size_t> rest;
  if (failed(requestedSizes(ctx, dims, rest)))
    return failure();
  if (rest) {
    dims[*rest] = ctx.c(1);
    Product all = productOf(ctx.in(0).dims), others = productOf(dims);
    if (all.overflow || others.overflow || others.coefficient == 0)
      return ctx.error("-1 in shape cannot be resolved for " + ctx.in(0).str());
    if (std::optional<Product> exact = divide(all, others))
      dims[*rest] = toDim(ctx.dims, *exact);
    else if (all.factors.empty() && others.factors.empty())
      return ctx.error(ctx.in(0).str() + " has " + Twine(all.coefficient) +
                       " elements, which " + Twine(others.coefficient) +
                       " does not divide");
    else
      dims[*rest] =
          ctx.dims.floorDiv(toDim(ctx.dims, all), toDim(ctx.dims, others));
  }
  return moveInfo(ctx, std::move(dims));
}

LogicalResult inferFlatten(InferContext &ctx) {
  ArrayRef<Dim> dims = ctx.in(0).dims;
  int64_t rank = dims.size(), axis = ctx.intAttr("axis", 1);
  if (axis < -rank || axis > rank)
    return ctx.error("axis " + Twine(axis) + " is outside [-" + Twine(rank) +
                     ", " + Twine(rank) + "]");
  if (axis < 0)
    axis += rank;
  Product left = productOf(dims.take_front(axis)),
          right = productOf(dims.drop_front(axis));
  if (left.overflow || right.overflow)
    return ctx.error("the number of elements overflows");
  return moveInfo(ctx, {toDim(ctx.dims, left), toDim(ctx.dims, right)});
}

/// Axes of input 1 as a set over `rank`.
LogicalResult axesMask(NodeView &node, const ValueInfo &axes, int64_t rank,
                       SmallVector<bool> &mask) {
  mask.assign(rank, false);
  std::optional<SmallVector<int64_t>> values = knownIntegers(axes);
  if (!values)
    return node.unsupported("the axes (input 1) must be constant");
  for (int64_t axis : *values) {
    if (axis < -rank || axis >= rank)
      return node.error("axis " + Twine(axis) + " is outside [-" + Twine(rank) +
                        ", " + Twine(rank - 1) + "]");
    if (mask[axis < 0 ? axis + rank : axis])
      return node.error("axis " + Twine(axis) + " is given twice");
    mask[axis < 0 ? axis + rank : axis] = true;
  }
  return success();
}

LogicalResult squeezeMask(NodeView &node, InfoFn in, SmallVector<bool> &mask) {
  ArrayRef<Dim> dims = in(0).dims;
  if (node.hasInput(1))
    return axesMask(node, in(1), dims.size(), mask);
  for (Dim d : dims) {
    if (!d.isConst())
      return node.unsupported(
          "without axes, all sizes must be constant; found " + in(0).str());
    mask.push_back(d.isConst(1));
  }
  return success();
}

LogicalResult inferSqueeze(InferContext &ctx) {
  SmallVector<bool> mask;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(squeezeMask(ctx, in, mask)))
    return failure();
  SmallVector<Dim> dims;
  for (auto [dim, gone] : llvm::zip(ctx.in(0).dims, mask)) {
    if (!gone)
      dims.push_back(dim);
    else if (dim.isConst() && !dim.isConst(1))
      return ctx.error("cannot squeeze a dimension of size " +
                       Twine(dim.value()) + " of " + ctx.in(0).str());
  }
  return moveInfo(ctx, std::move(dims));
}

LogicalResult expandSqueeze(ExpandContext &ctx) {
  SmallVector<bool> mask;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(squeezeMask(ctx, in, mask)))
    return failure();
  SmallVector<Dim> from = ctx.inInfo(0).dims;
  for (auto [i, gone] : llvm::enumerate(mask))
    if (gone && !from[i].isConst(1)) {
      Dim one = ctx.dims.constant(1);
      ctx.checkEqual(from[i], one, "a dimension to squeeze");
      from[i] = one;
    }
  give(ctx, 0, reshape(ctx, input(ctx, 0), from, ctx.outInfo(0).dims));
  return success();
}

LogicalResult inferUnsqueeze(InferContext &ctx) {
  std::optional<SmallVector<int64_t>> axes = knownIntegers(ctx.in(1));
  if (!axes)
    return ctx.unsupported("the axes (input 1) must be constant");
  SmallVector<bool> mask;
  if (failed(axesMask(ctx, ctx.in(1), ctx.in(0).rank() + axes->size(), mask)))
    return failure();
  SmallVector<Dim> dims;
  size_t next = 0;
  for (bool added : mask)
    dims.push_back(added ? ctx.c(1) : ctx.in(0).dims[next++]);
  return moveInfo(ctx, std::move(dims));
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

LogicalResult permutation(NodeView &node, int64_t rank,
                          SmallVector<int64_t> &perm) {
  std::optional<SmallVector<int64_t>> given = node.intsAttr("perm");
  for (int64_t i = rank - 1; !given && i >= 0; --i)
    perm.push_back(i);
  if (!given)
    return success();
  perm = *given;
  SmallVector<bool> seen(rank, false);
  bool valid = static_cast<int64_t>(perm.size()) == rank;
  for (int64_t p : perm) {
    valid = valid && p >= 0 && p < rank && !seen[p];
    if (valid)
      seen[p] = true;
  }
  return valid ? success()
               : node.error("perm must be a permutation of " + Twine(rank) +
                            " dimensions");
}

LogicalResult inferTranspose(InferContext &ctx) {
  SmallVector<int64_t> perm;
  if (failed(permutation(ctx, ctx.in(0).rank(), perm)))
    return failure();
  ctx.out(0).elementType = ctx.in(0).elementType;
  for (int64_t p : perm)
    ctx.out(0).dims.push_back(ctx.in(0).dims[p]);
  if (const SmallVector<Dim> *data = dataOf(ctx, 0))
    setData(ctx.out(0), *data);
  return success();
}

LogicalResult expandTranspose(ExpandContext &ctx) {
  SmallVector<int64_t> perm;
  if (failed(permutation(ctx, ctx.inInfo(0).rank(), perm)))
    return failure();
  give(ctx, 0, transpose(ctx, input(ctx, 0), ctx.inInfo(0).dims, perm));
  return success();
}

//===----------------------------------------------------------------------===//
// Concat, Split
//===----------------------------------------------------------------------===//

LogicalResult inferConcat(InferContext &ctx) {
  const ValueInfo &first = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), first.rank());
  if (failed(axis))
    return failure();
  SmallVector<Dim> dims = first.dims, data;
  bool known = true;
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    const ValueInfo &in = ctx.in(i);
    if (!in.present() || in.rank() != first.rank())
      return ctx.error("input " + Twine(i) + " must have rank " +
                       Twine(first.rank()));
    if (failed(sameElementType(ctx, 0, i)))
      return failure();
    for (int64_t d = 0; i > 0 && d < in.rank(); ++d) {
      if (d == *axis)
        dims[d] = addDims(ctx.dims, dims[d], in.dims[d]);
      else if (!dims[d].isConst())
        dims[d] = in.dims[d].isConst() ? in.dims[d] : dims[d];
      else if (in.dims[d].isConst() && in.dims[d] != dims[d])
        return ctx.error("dimension " + Twine(d) + " of input " + Twine(i) +
                         " is " + in.dims[d].str() + ", of input 0 " +
                         dims[d].str());
    }
    known = known && in.data && in.rank() == 1;
    if (known)
      data.append(*in.data);
  }
  ctx.out(0).elementType = first.elementType;
  ctx.out(0).dims = dims;
  if (known)
    setData(ctx.out(0), std::move(data));
  return success();
}

LogicalResult expandConcat(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + out.rank() : axis;
  if (ctx.numInputs() == 1) {
    give(ctx, 0, input(ctx, 0));
    return success();
  }
  Value whole = ctx.empty(out);
  Dim offset = ctx.dims.constant(0);
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    SmallVector<Dim> dims = ctx.inInfo(i).dims;
    for (int64_t d = 0; d < out.rank(); ++d)
      if (d != axis && dims[d] != out.dims[d]) {
        ctx.checkEqual(dims[d], out.dims[d],
                       "dimension " + Twine(d) + " of input " + Twine(i));
        dims[d] = out.dims[d];
      }
    SmallVector<OpFoldResult> offsets = zeros(ctx, out.rank());
    offsets[axis] = ctx.size(offset);
    whole = insert(ctx, input(ctx, i), whole, offsets, dims);
    offset = addDims(ctx.dims, offset, dims[axis]);
  }
  give(ctx, 0, whole);
  return success();
}

LogicalResult splitSizes(InferContext &ctx, Dim whole,
                         SmallVector<Dim> &sizes) {
  int64_t n = ctx.numOutputs();
  if (ctx.hasInput(1)) {
    const SmallVector<Dim> *given = dataOf(ctx, 1);
    if (!given)
      return ctx.unsupported("the sizes (input 1) must be constant");
    sizes = *given;
    Dim sum = ctx.c(0);
    for (Dim d : sizes) {
      if (d.isConst() && d.value() < 0)
        return ctx.error("a part's size is " + Twine(d.value()));
      sum = addDims(ctx.dims, sum, d);
    }
    if (static_cast<int64_t>(sizes.size()) != n || !sum)
      return ctx.error(Twine(sizes.size()) + " sizes for " + Twine(n) +
                       " outputs");
    if (sum.isConst() && whole.isConst() && sum != whole)
      return ctx.error("the sizes add up to " + sum.str() +
                       ", the dimension is " + whole.str());
    return success();
  }
  if (ctx.hasAttr("num_outputs") && ctx.intAttr("num_outputs", n) != n)
    return ctx.error("num_outputs is " + Twine(ctx.intAttr("num_outputs", n)) +
                     ", but the node has " + Twine(n) + " outputs");
  Dim chunk = ctx.dims.ceilDiv(whole, ctx.c(n));
  Dim rest = subDims(ctx.dims, whole, mulDims(ctx.dims, chunk, ctx.c(n - 1)));
  if (!rest || (rest.isConst() && rest.value() < 0))
    return ctx.error("cannot split " + whole.str() + " into " + Twine(n) +
                     " parts");
  sizes.assign(n, chunk);
  sizes.back() = rest;
  return success();
}

LogicalResult inferSplit(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), in.rank());
  SmallVector<Dim> sizes;
  if (failed(axis) || failed(splitSizes(ctx, in.dims[*axis], sizes)))
    return failure();
  size_t at = 0;
  bool known = in.data.has_value();
  for (unsigned i = 0; i < ctx.numOutputs(); ++i) {
    if (ctx.hasOutput(i)) {
      ValueInfo &out = ctx.out(i);
      out.elementType = in.elementType;
      out.dims = in.dims;
      out.dims[*axis] = sizes[i];
    }
    known =
        known && sizes[i].isConst() && at + sizes[i].value() <= in.data->size();
    if (!known)
      continue;
    if (ctx.hasOutput(i))
      setData(ctx.out(i),
              llvm::to_vector(ArrayRef(*in.data).slice(at, sizes[i].value())));
    at += sizes[i].value();
  }
  return success();
}

LogicalResult expandSplit(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + in.rank() : axis;
  bool allPresent = true;
  Value whole = input(ctx, 0);
  Dim offset = ctx.dims.constant(0);
  for (unsigned i = 0; i < ctx.numOutputs(); ++i) {
    // Where an output is omitted its size is known only from the sizes' input.
    if (!ctx.hasOutput(i)) {
      const ValueInfo *sizes = ctx.hasInput(1) ? &ctx.inInfo(1) : nullptr;
      Dim n = ctx.dims.constant(ctx.numOutputs());
      Dim size = sizes ? (*sizes->data)[i] : ctx.dims.ceilDiv(in.dims[axis], n);
      offset = addDims(ctx.dims, offset, size);
      allPresent = false;
      continue;
    }
    const SmallVector<Dim> &dims = ctx.outInfo(i).dims;
    checkNonNegative(ctx, dims);
    SmallVector<OpFoldResult> offsets = zeros(ctx, in.rank());
    offsets[axis] = ctx.size(offset);
    give(ctx, i, slice(ctx, whole, offsets, dims, {}));
    offset = addDims(ctx.dims, offset, dims[axis]);
  }
  if (allPresent)
    ctx.checkEqual(offset, in.dims[axis], "the sum of the parts' sizes");
  return success();
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

constexpr int64_t kFar = (int64_t(1) << 31) - 1; ///< "to the end" of exporters

struct AxisSlice {
  int64_t axis, step;
  Dim start, size;
  SmallVector<Dim> mustBeNonNegative; ///< bounds that only a run can tell
};

/// A bound within [0, size], for ascending steps.
Dim forwardBound(DimContext &c, Dim bound, Dim size, AxisSlice &out) {
  if (!bound.isConst()) {
    if (!isNonNegative(bound))
      out.mustBeNonNegative.push_back(bound);
    return minDims(c, maxDims(c, bound, c.constant(0)), size);
  }
  int64_t v = bound.value();
  if (v >= kFar)
    return size;
  if (v < -kFar)
    return c.constant(0);
  if (v >= 0)
    return minDims(c, bound, size);
  return maxDims(c, addDims(c, size, bound), c.constant(0));
}

/// The number of elements between two bounds, in one form for equal sizes.
Dim forwardSize(DimContext &c, Dim start, Dim end, Dim rawStart, Dim rawEnd,
                Dim size) {
  Dim zero = c.constant(0);
  if (start == zero)
    return end;
  auto constant = [](Dim d) { return d.isConst(); };
  bool fromBack = constant(rawStart) && rawStart.value() < 0;
  bool toEnd = end == size;
  if (toEnd && fromBack && rawStart.value() >= -kFar)
    return minDims(c, c.constant(-rawStart.value()), size);
  bool endBack = constant(rawEnd) && rawEnd.value() < 0;
  if (constant(rawStart) && !fromBack && rawStart.value() < kFar &&
      (toEnd || endBack)) {
    Dim back = toEnd ? zero : rawEnd;
    Dim rest = subDims(c, addDims(c, size, back), rawStart);
    return rest ? maxDims(c, rest, zero) : Dim();
  }
  Dim span = subDims(c, end, start);
  if (span && isLessOrEqual(c, start, end))
    return span;
  return span ? maxDims(c, span, zero) : Dim();
}

Dim steps(DimContext &c, Dim span, int64_t step) {
  return !span || step == 1 ? span : c.ceilDiv(span, c.constant(step));
}

/// A bound within [-1, size - 1], for descending steps.
Dim backwardBound(DimContext &c, Dim bound, Dim size, AxisSlice &out) {
  Dim last = subDims(c, size, c.constant(1)), none = c.constant(-1);
  if (!bound.isConst()) {
    if (!isNonNegative(bound))
      out.mustBeNonNegative.push_back(bound);
    return minDims(c, maxDims(c, bound, none), last);
  }
  int64_t v = bound.value();
  if (v >= kFar)
    return last;
  if (v < -kFar)
    return none;
  return v >= 0 ? minDims(c, bound, last)
                : maxDims(c, addDims(c, size, bound), none);
}

LogicalResult sliceAxis(NodeView &node, DimContext &c, Dim size, Dim rawStart,
                        Dim rawEnd, AxisSlice &out) {
  // Steps beyond any size select what a step of that size does.
  out.step = std::clamp<int64_t>(out.step, -kFar, kFar);
  if (out.step > 0) {
    out.start = forwardBound(c, rawStart, size, out);
    Dim end = forwardBound(c, rawEnd, size, out);
    out.size = steps(c, forwardSize(c, out.start, end, rawStart, rawEnd, size),
                     out.step);
  } else {
    out.start = backwardBound(c, rawStart, size, out);
    Dim end = backwardBound(c, rawEnd, size, out);
    Dim span = subDims(c, out.start, end);
    out.size =
        span ? steps(c, maxDims(c, span, c.constant(0)), -out.step) : Dim();
  }
  return out.size && out.start ? success() : node.error("a bound overflows");
}

/// All sliced axes; each is given at most once.
LogicalResult sliceAxes(NodeView &node, DimContext &c, InfoFn in,
                        SmallVector<AxisSlice> &out) {
  const ValueInfo &data = in(0);
  for (unsigned i : {1u, 2u})
    if (!in(i).data)
      return node.unsupported(Twine(i == 1 ? "starts" : "ends") + " (input " +
                              Twine(i) +
                              ") must be known from constants and the sizes of "
                              "inputs");
  const SmallVector<Dim> &starts = *in(1).data, &ends = *in(2).data;
  SmallVector<int64_t> axes, stepValues(starts.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i)
    axes.push_back(i);
  for (unsigned i : {3u, 4u}) {
    if (!node.hasInput(i))
      continue;
    std::optional<SmallVector<int64_t>> values = knownIntegers(in(i));
    if (!values)
      return node.unsupported(Twine(i == 3 ? "axes" : "steps") + " (input " +
                              Twine(i) + ") must be constant");
    (i == 3 ? axes : stepValues) = *values;
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      stepValues.size() != starts.size())
    return node.error("starts, ends, axes and steps must have one length");
  SmallVector<bool> seen(data.rank(), false);
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t axis = axes[i];
    if (axis < -data.rank() || axis >= data.rank())
      return node.error("axis " + Twine(axis) + " is outside the rank of " +
                        data.str());
    axis = axis < 0 ? axis + data.rank() : axis;
    if (seen[axis] || stepValues[i] == 0)
      return node.error(seen[axis] ? "axis " + Twine(axis) + " is given twice"
                                   : Twine("a step is 0"));
    seen[axis] = true;
    out.push_back({axis, stepValues[i], {}, {}, {}});
    if (failed(sliceAxis(node, c, data.dims[axis], starts[i], ends[i],
                         out.back())))
      return failure();
  }
  return success();
}

LogicalResult inferSlice(InferContext &ctx) {
  SmallVector<AxisSlice> axes;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(sliceAxes(ctx, ctx.dims, in, axes)))
    return failure();
  ValueInfo &out = ctx.out(0);
  out.elementType = ctx.in(0).elementType;
  out.dims = ctx.in(0).dims;
  for (const AxisSlice &a : axes)
    out.dims[a.axis] = a.size;
  const SmallVector<Dim> *data = dataOf(ctx, 0);
  if (!data || axes.size() != 1 || !axes[0].start.isConst() ||
      !axes[0].size.isConst())
    return success();
  SmallVector<Dim> part;
  for (int64_t i = 0; i < axes[0].size.value(); ++i)
    part.push_back((*data)[axes[0].start.value() + i * axes[0].step]);
  setData(out, std::move(part));
  return success();
}

/// Elements at start + i * step, for steps of any sign.
Value gatherSteps(ExpandContext &ctx, Value data, ArrayRef<AxisSlice> axes) {
  SmallVector<Value> starts;
  for (const AxisSlice &a : axes)
    starts.push_back(ctx.index(a.start));
  return generate(
      ctx, ctx.outInfo(0),
      [&](OpBuilder &b, Location loc, ValueRange at) -> Value {
        SmallVector<Value> from(at);
        for (auto [a, start] : llvm::zip(axes, starts)) {
          Value step = arith::ConstantIndexOp::create(b, loc, a.step);
          Value offset = arith::MulIOp::create(b, loc, at[a.axis], step);
          from[a.axis] = arith::AddIOp::create(b, loc, start, offset);
        }
        return tensor::ExtractOp::create(b, loc, data, from);
      });
}

LogicalResult expandSlice(ExpandContext &ctx) {
  SmallVector<AxisSlice> axes;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(sliceAxes(ctx, ctx.dims, in, axes)))
    return failure();
  Value data = input(ctx, 0);
  int64_t rank = ctx.inInfo(0).rank();
  SmallVector<OpFoldResult> offsets = zeros(ctx, rank);
  SmallVector<int64_t> strides(rank, 1);
  bool forward = true;
  for (const AxisSlice &a : axes) {
    checkNonNegative(ctx, a.mustBeNonNegative);
    forward &= a.step > 0;
    strides[a.axis] = a.step;
    offsets[a.axis] = ctx.size(a.start);
  }
  give(ctx, 0,
       forward ? slice(ctx, data, offsets, ctx.outInfo(0).dims, strides)
               : gatherSteps(ctx, data, axes));
  return success();
}

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

bool isIndexType(Type type) { return type.isInteger(32) || type.isInteger(64); }

/// Errors for constant indices outside [-size, size).
LogicalResult checkKnownIndices(InferContext &ctx, const ValueInfo &indices,
                                Dim size) {
  std::optional<SmallVector<int64_t>> values = knownIntegers(indices);
  if (!values || !size.isConst())
    return success();
  for (int64_t v : *values)
    if (v < -size.value() || v >= size.value())
      return ctx.error("index " + Twine(v) +
                       " is outside a dimension of size " +
                       Twine(size.value()));
  return success();
}

/// Run-time checks of indices; those of constants are of sizes alone.
void checkIndices(ExpandContext &ctx, Value tensor, const ValueInfo &indices,
                  Dim size) {
  Value high = ctx.index(size);
  if (auto values = knownIntegers(indices)) {
    if (size.isConst() || values->empty())
      return;
    int64_t least = 0;
    for (int64_t v : *values)
      least = std::max(least, v < 0 ? (v == INT64_MIN ? INT64_MAX : -v)
                                    : (v == INT64_MAX ? v : v + 1));
    check(ctx,
          cmpi(ctx, arith::CmpIPredicate::sge, high, constIndex(ctx, least)),
          "an index is outside the dimension, which must be at least " +
              Twine(least));
    return;
  }
  // Nothing can be clamped into an empty dimension.
  if (!size.isConst() || size.isConst(0))
    check(ctx, cmpi(ctx, arith::CmpIPredicate::sgt, high, constIndex(ctx, 0)),
          "a dimension that is indexed must not be empty");
  Value low = arith::SubIOp::create(ctx.b, ctx.loc, constIndex(ctx, 0), high);
  checkRange(ctx, tensor, indices.elementType, low, high,
             "an index is outside the dimension of the data");
}

LogicalResult inferGather(InferContext &ctx) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), data.rank());
  if (failed(axis) ||
      failed(requireType(ctx, 1, isIndexType, "int32 or int64")) ||
      failed(checkKnownIndices(ctx, indices, data.dims[*axis])))
    return failure();
  ValueInfo &out = ctx.out(0);
  out.elementType = data.elementType;
  out.dims.assign(data.dims.begin(), data.dims.begin() + *axis);
  out.dims.append(indices.dims);
  out.dims.append(data.dims.begin() + *axis + 1, data.dims.end());
  auto values = knownIntegers(indices);
  if (!values || !data.data || data.rank() != 1 || indices.rank() > 1)
    return success();
  SmallVector<Dim> picked;
  int64_t n = data.data->size();
  for (int64_t v : *values)
    picked.push_back((*data.data)[v < 0 ? v + n : v]);
  setData(out, std::move(picked));
  return success();
}

/// The first of a run of constant indices i, i+1, ..., or nothing.
std::optional<int64_t> ascendingRun(const ValueInfo &indices) {
  auto values = knownIntegers(indices);
  if (!values || values->empty())
    return std::nullopt;
  int64_t first = values->front(), n = values->size();
  if (first < 0 && first + n > 0)
    return std::nullopt;
  for (int64_t i = 0; i < n; ++i)
    if ((*values)[i] != first + i)
      return std::nullopt;
  return first;
}

Value gatherElement(ExpandContext &ctx, Value data, Value indices,
                    int64_t axis) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1),
                  &out = ctx.outInfo(0);
  MLIRContext *context = ctx.b.getContext();
  SmallVector<AffineExpr> picks;
  for (int64_t d = 0; d < ix.rank(); ++d)
    picks.push_back(getAffineDimExpr(axis + d, context));
  Value size = ctx.index(from.dims[axis]);
  return generic(ctx, indices,
                 {AffineMap::get(out.rank(), 0, picks, context),
                  ctx.b.getMultiDimIdentityMap(out.rank())},
                 ctx.empty(out),
                 [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                   Value i = toIndex(b, loc, args[0], ix.elementType);
                   SmallVector<Value> at;
                   for (int64_t d = 0; d < out.rank(); ++d)
                     if (d < axis || d >= axis + ix.rank())
                       at.push_back(linalg::IndexOp::create(b, loc, d));
                   at.insert(at.begin() + axis, wrapAndClamp(b, loc, i, size));
                   return tensor::ExtractOp::create(b, loc, data, at);
                 });
}

LogicalResult expandGather(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + from.rank() : axis;
  Value data = input(ctx, 0), indices = input(ctx, 1);
  Dim size = from.dims[axis];
  checkIndices(ctx, indices, ix, size);
  bool one = llvm::all_of(ix.dims, [](Dim d) { return d.isConst(1); });
  SmallVector<OpFoldResult> offsets = zeros(ctx, from.rank());
  SmallVector<Dim> dims = from.dims;
  dims[axis] = toDim(ctx.dims, productOf(ix.dims));
  if (std::optional<int64_t> first = ascendingRun(ix)) {
    Dim start = ctx.dims.constant(*first);
    offsets[axis] =
        ctx.size(*first < 0 ? addDims(ctx.dims, size, start) : start);
  } else if (one) {
    Value scalar = tensor::ExtractOp::create(
        ctx.b, ctx.loc, reshape(ctx, indices, ix.dims, {}), ValueRange());
    offsets[axis] = wrapAndClamp(
        ctx.b, ctx.loc, toIndex(ctx.b, ctx.loc, scalar, ix.elementType),
        ctx.index(size));
  } else {
    give(ctx, 0, gatherElement(ctx, data, indices, axis));
    return success();
  }
  Value part = slice(ctx, data, offsets, dims, {});
  give(ctx, 0, reshape(ctx, part, dims, ctx.outInfo(0).dims));
  return success();
}

LogicalResult inferGatherElements(InferContext &ctx) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), data.rank());
  if (failed(axis) ||
      failed(requireType(ctx, 1, isIndexType, "int32 or int64")) ||
      failed(checkKnownIndices(ctx, indices, data.dims[*axis])))
    return failure();
  if (indices.rank() != data.rank())
    return ctx.error("data and indices must have one rank; found " +
                     data.str() + " and " + indices.str());
  for (int64_t d = 0; d < data.rank(); ++d)
    if (d != *axis && data.dims[d].isConst() && indices.dims[d].isConst() &&
        indices.dims[d].value() > data.dims[d].value())
      return ctx.error("indices' dimension " + Twine(d) +
                       " is larger than data's: " + indices.str() + " and " +
                       data.str());
  ctx.out(0).elementType = data.elementType;
  ctx.out(0).dims = indices.dims;
  return success();
}

/// Checks that a tensor of indices lies over a part of the data off the axis.
void checkWithin(ExpandContext &ctx, const ValueInfo &part,
                 const ValueInfo &whole, int64_t axis) {
  for (int64_t d = 0; d < whole.rank(); ++d)
    if (d != axis && !isLessOrEqual(ctx.dims, part.dims[d], whole.dims[d]))
      check(ctx,
            cmpi(ctx, arith::CmpIPredicate::sle, ctx.index(part.dims[d]),
                 ctx.index(whole.dims[d])),
            "indices' dimension " + Twine(d) + " must not be above data's");
}

LogicalResult expandGatherElements(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + from.rank() : axis;
  Value data = input(ctx, 0), indices = input(ctx, 1);
  checkIndices(ctx, indices, ix, from.dims[axis]);
  checkWithin(ctx, ix, from, axis);
  Value size = ctx.index(from.dims[axis]);
  AffineMap identity = ctx.b.getMultiDimIdentityMap(from.rank());
  Value out =
      generic(ctx, indices, {identity, identity}, ctx.empty(ctx.outInfo(0)),
              [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                SmallVector<Value> at;
                for (int64_t d = 0; d < from.rank(); ++d)
                  at.push_back(linalg::IndexOp::create(b, loc, d));
                at[axis] = wrapAndClamp(
                    b, loc, toIndex(b, loc, args[0], ix.elementType), size);
                return tensor::ExtractOp::create(b, loc, data, at);
              });
  give(ctx, 0, out);
  return success();
}

/// The length k of the index tuples in indices' last dimension.
LogicalResult tupleLength(InferContext &ctx, int64_t batch, int64_t &k) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  if (failed(requireType(ctx, 1, isIndexType, "int32 or int64")))
    return failure();
  if (indices.rank() < 1 || !indices.dims.back().isConst())
    return ctx.unsupported("indices' last dimension must be constant; found " +
                           indices.str());
  k = indices.dims.back().value();
  if (batch < 0 || k < 0 || batch >= indices.rank() || batch > data.rank() ||
      k > data.rank() - batch)
    return ctx.error("index tuples of length " + Twine(k) +
                     " do not fit data " + data.str());
  return success();
}

LogicalResult inferGatherND(InferContext &ctx) {
  int64_t batch = ctx.intAttr("batch_dims", 0), k = 0;
  if (failed(tupleLength(ctx, batch, k)))
    return failure();
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  ValueInfo &out = ctx.out(0);
  out.elementType = data.elementType;
  out.dims.assign(indices.dims.begin(), indices.dims.end() - 1);
  out.dims.append(data.dims.begin() + batch + k, data.dims.end());
  return success();
}

/// Column j of index tuples, checked against the size it indexes.
void checkColumn(ExpandContext &ctx, Value indices, ArrayRef<Dim> dims,
                 Type onnxType, int64_t j, Dim size) {
  SmallVector<OpFoldResult> offsets = zeros(ctx, dims.size());
  offsets.back() = ctx.b.getIndexAttr(j);
  SmallVector<Dim> column(dims);
  column.back() = ctx.dims.constant(1);
  ValueInfo info;
  info.elementType = onnxType;
  info.dims = column;
  checkIndices(ctx, slice(ctx, indices, offsets, column, {}), info, size);
}

LogicalResult expandGatherND(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1),
                  &out = ctx.outInfo(0);
  int64_t batch = ctx.intAttr("batch_dims", 0), k = ix.dims.back().value();
  Value data = input(ctx, 0), indices = input(ctx, 1);
  for (int64_t d = 0; d < batch; ++d)
    ctx.checkEqual(ix.dims[d], from.dims[d], "batch dimension " + Twine(d));
  SmallVector<Value> sizes;
  for (int64_t j = 0; j < k; ++j) {
    checkColumn(ctx, indices, ix.dims, ix.elementType, j, from.dims[batch + j]);
    sizes.push_back(ctx.index(from.dims[batch + j]));
  }
  Value result = generate(
      ctx, out, [&](OpBuilder &b, Location loc, ValueRange at) -> Value {
        SmallVector<Value> tuple(at.take_front(ix.rank() - 1));
        SmallVector<Value> place(at.take_front(batch));
        for (int64_t j = 0; j < k; ++j) {
          tuple.push_back(arith::ConstantIndexOp::create(b, loc, j));
          Value i = tensor::ExtractOp::create(b, loc, indices, tuple);
          tuple.pop_back();
          place.push_back(wrapAndClamp(
              b, loc, toIndex(b, loc, i, ix.elementType), sizes[j]));
        }
        llvm::append_range(place, at.drop_front(ix.rank() - 1));
        return tensor::ExtractOp::create(b, loc, data, place);
      });
  give(ctx, 0, result);
  return success();
}

//===----------------------------------------------------------------------===//
// ScatterND, ScatterElements
//===----------------------------------------------------------------------===//

LogicalResult checkReduction(InferContext &ctx) {
  StringRef kind = ctx.strAttr("reduction", "none");
  if (kind == "none" || kind == "add" || kind == "mul" || kind == "max" ||
      kind == "min")
    return sameElementType(ctx, 0, 2);
  return ctx.error("reduction \"" + kind + "\" is unknown");
}

Value combine(OpBuilder &b, Location loc, StringRef kind, bool zext, Value old,
              Value update) {
  Type stored = old.getType();
  if (kind == "none")
    return update;
  Value l = widen(b, loc, old), r = widen(b, loc, update), v;
  bool fp = isa<FloatType>(l.getType());
  if (kind == "add")
    v = fp ? Value(arith::AddFOp::create(b, loc, l, r))
           : Value(arith::AddIOp::create(b, loc, l, r));
  else if (kind == "mul")
    v = fp ? Value(arith::MulFOp::create(b, loc, l, r))
           : Value(arith::MulIOp::create(b, loc, l, r));
  else if (kind == "max")
    v = fp     ? Value(arith::MaximumFOp::create(b, loc, l, r))
        : zext ? Value(arith::MaxUIOp::create(b, loc, l, r))
               : Value(arith::MaxSIOp::create(b, loc, l, r));
  else
    v = fp     ? Value(arith::MinimumFOp::create(b, loc, l, r))
        : zext ? Value(arith::MinUIOp::create(b, loc, l, r))
               : Value(arith::MinSIOp::create(b, loc, l, r));
  return narrow(b, loc, v, stored);
}

LogicalResult inferScatterND(InferContext &ctx) {
  int64_t k = 0;
  if (failed(tupleLength(ctx, 0, k)) || failed(checkReduction(ctx)))
    return failure();
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1), &updates = ctx.in(2);
  SmallVector<Dim> want(indices.dims.begin(), indices.dims.end() - 1);
  want.append(data.dims.begin() + k, data.dims.end());
  bool fits = want.size() == updates.dims.size();
  for (size_t d = 0; fits && d < want.size(); ++d)
    fits = want[d] == updates.dims[d] || !want[d].isConst() ||
           !updates.dims[d].isConst();
  if (!fits)
    return ctx.error("updates " + updates.str() + " do not fit data " +
                     data.str() + " at indices " + indices.str());
  // Columns of constant tuples are known to be in range, or known not to be.
  if (auto values = knownIntegers(indices))
    for (size_t i = 0; i < values->size(); ++i) {
      Dim size = data.dims[i % k];
      if (size.isConst() &&
          ((*values)[i] < -size.value() || (*values)[i] >= size.value()))
        return ctx.error("index " + Twine((*values)[i]) +
                         " is outside a dimension of size " + size.str());
    }
  ctx.out(0).elementType = data.elementType;
  ctx.out(0).dims = data.dims;
  return success();
}

/// Constant indices i, i+1, ... of one dimension: a slice is written over.
bool scatterRun(ExpandContext &ctx, ArrayRef<Dim> updateDims, int64_t k) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  std::optional<int64_t> first = ascendingRun(ix);
  if (k != 1 || !first || *first < 0 || !data.dims[0].isConst() ||
      ctx.strAttr("reduction", "none") != "none")
    return false;
  Value updates = reshape(ctx, input(ctx, 2), ctx.inInfo(2).dims, updateDims);
  SmallVector<OpFoldResult> offsets = zeros(ctx, data.rank());
  offsets[0] = ctx.b.getIndexAttr(*first);
  give(ctx, 0, insert(ctx, updates, input(ctx, 0), offsets, updateDims));
  return true;
}

/// One update after the other, in the order of the indices.
Value scatterLoop(ExpandContext &ctx, Value indices, Value updates,
                  ArrayRef<Dim> updateDims, int64_t k) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  StringRef kind = ctx.strAttr("reduction", "none");
  bool zext = isUnsigned(data.elementType);
  SmallVector<Value> sizes;
  for (int64_t j = 0; j < k; ++j)
    sizes.push_back(ctx.index(data.dims[j]));
  SmallVector<Dim> part(data.dims);
  for (int64_t j = 0; j < k; ++j)
    part[j] = ctx.dims.constant(1);
  SmallVector<Dim> row(updateDims);
  row[0] = ctx.dims.constant(1);
  Value count = ctx.index(updateDims[0]);
  // Sizes are computed outside of the loop.
  sizesOf(ctx, part);
  auto loop = scf::ForOp::create(ctx.b, ctx.loc, constIndex(ctx, 0), count,
                                 constIndex(ctx, 1), input(ctx, 0));
  OpBuilder::InsertionGuard guard(ctx.b);
  ctx.b.setInsertionPointToStart(loop.getBody());
  Value n = loop.getInductionVar(), state = loop.getRegionIterArg(0);
  SmallVector<OpFoldResult> place = zeros(ctx, data.rank());
  for (int64_t j = 0; j < k; ++j) {
    Value i = tensor::ExtractOp::create(ctx.b, ctx.loc, indices,
                                        ValueRange{n, constIndex(ctx, j)});
    place[j] = wrapAndClamp(
        ctx.b, ctx.loc, toIndex(ctx.b, ctx.loc, i, ix.elementType), sizes[j]);
  }
  SmallVector<OpFoldResult> from = zeros(ctx, row.size());
  from[0] = n;
  Value update = reshape(ctx, slice(ctx, updates, from, row, {}), row, part);
  if (kind != "none") {
    AffineMap identity = ctx.b.getMultiDimIdentityMap(data.rank());
    Value old = slice(ctx, state, place, part, {});
    Type element = cast<RankedTensorType>(update.getType()).getElementType();
    update = generic(ctx, {old, update}, {identity, identity, identity},
                     ctx.empty(part, element),
                     [&](OpBuilder &b, Location loc, ValueRange args) {
                       return combine(b, loc, kind, zext, args[0], args[1]);
                     });
  }
  state = insert(ctx, update, state, place, part);
  scf::YieldOp::create(ctx.b, ctx.loc, state);
  return loop.getResult(0);
}

LogicalResult expandScatterND(ExpandContext &ctx) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t k = ix.dims.back().value();
  Dim count = toDim(ctx.dims, productOf(ArrayRef(ix.dims).drop_back()));
  SmallVector<Dim> tuples = {count, ix.dims.back()}, updateDims = {count};
  updateDims.append(data.dims.begin() + k, data.dims.end());
  SmallVector<Dim> want(ix.dims.begin(), ix.dims.end() - 1);
  want.append(data.dims.begin() + k, data.dims.end());
  for (size_t d = 0; d < want.size(); ++d)
    ctx.checkEqual(ctx.inInfo(2).dims[d], want[d],
                   "dimension " + Twine(d) + " of updates");
  if (scatterRun(ctx, updateDims, k))
    return success();
  Value indices = reshape(ctx, input(ctx, 1), ix.dims, tuples);
  Value updates = reshape(ctx, input(ctx, 2), want, updateDims);
  for (int64_t j = 0; j < k; ++j)
    checkColumn(ctx, indices, tuples, ix.elementType, j, data.dims[j]);
  give(ctx, 0, scatterLoop(ctx, indices, updates, updateDims, k));
  return success();
}

LogicalResult inferScatterElements(InferContext &ctx) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1), &updates = ctx.in(2);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), data.rank());
  if (failed(axis) ||
      failed(requireType(ctx, 1, isIndexType, "int32 or int64")) ||
      failed(checkReduction(ctx)) ||
      failed(checkKnownIndices(ctx, indices, data.dims[*axis])))
    return failure();
  if (indices.rank() != data.rank() || updates.rank() != data.rank())
    return ctx.error("data, indices and updates must have one rank; found " +
                     data.str() + ", " + indices.str() + " and " +
                     updates.str());
  for (int64_t d = 0; d < data.rank(); ++d) {
    bool differ = updates.dims[d].isConst() && indices.dims[d].isConst() &&
                  updates.dims[d] != indices.dims[d];
    bool larger = d != *axis && data.dims[d].isConst() &&
                  indices.dims[d].isConst() &&
                  indices.dims[d].value() > data.dims[d].value();
    if (differ || larger)
      return ctx.error("indices " + indices.str() + " and updates " +
                       updates.str() + " do not fit data " + data.str());
  }
  ctx.out(0).elementType = data.elementType;
  ctx.out(0).dims = data.dims;
  return success();
}

/// Loops over all coordinates of `dims`; the body maps a state to the next.
Value forEach(ExpandContext &ctx, ArrayRef<Dim> dims, Value state,
              SmallVector<Value> &at,
              llvm::function_ref<Value(ValueRange, Value)> body) {
  if (at.size() == dims.size())
    return body(at, state);
  Value count = ctx.index(dims[at.size()]);
  auto loop = scf::ForOp::create(ctx.b, ctx.loc, constIndex(ctx, 0), count,
                                 constIndex(ctx, 1), state);
  OpBuilder::InsertionGuard guard(ctx.b);
  ctx.b.setInsertionPointToStart(loop.getBody());
  at.push_back(loop.getInductionVar());
  Value next = forEach(ctx, dims, loop.getRegionIterArg(0), at, body);
  at.pop_back();
  scf::YieldOp::create(ctx.b, ctx.loc, next);
  return loop.getResult(0);
}

LogicalResult expandScatterElements(ExpandContext &ctx) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + data.rank() : axis;
  StringRef kind = ctx.strAttr("reduction", "none");
  bool zext = isUnsigned(data.elementType);
  Value indices = input(ctx, 1), updates = input(ctx, 2);
  for (int64_t d = 0; d < data.rank(); ++d)
    ctx.checkEqual(ctx.inInfo(2).dims[d], ix.dims[d],
                   "dimension " + Twine(d) + " of updates");
  checkIndices(ctx, indices, ix, data.dims[axis]);
  checkWithin(ctx, ix, data, axis);
  Value size = ctx.index(data.dims[axis]);
  SmallVector<Value> at;
  Value result = forEach(
      ctx, ix.dims, input(ctx, 0), at, [&](ValueRange place, Value state) {
        OpBuilder &b = ctx.b;
        Value i = tensor::ExtractOp::create(b, ctx.loc, indices, place);
        Value update = tensor::ExtractOp::create(b, ctx.loc, updates, place);
        SmallVector<Value> to(place);
        to[axis] = wrapAndClamp(b, ctx.loc,
                                toIndex(b, ctx.loc, i, ix.elementType), size);
        if (kind != "none") {
          Value old = tensor::ExtractOp::create(b, ctx.loc, state, to);
          update = combine(b, ctx.loc, kind, zext, old, update);
        }
        return Value(tensor::InsertOp::create(b, ctx.loc, update, state, to));
      });
  give(ctx, 0, result);
  return success();
}

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
  if (!in(1).data)
    return node.unsupported("the pads (input 1) must be known from constants "
                            "and the sizes of inputs");
  const SmallVector<Dim> &pads = *in(1).data;
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

Value clampIndex(OpBuilder &b, Location loc, Value at, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value last = arith::SubIOp::create(b, loc, size, one);
  return arith::MaxSIOp::create(b, loc,
                                arith::MinSIOp::create(b, loc, at, last), zero);
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
  Value value = scalar(ctx.b, ctx.loc, element, 0);
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

/// One element of a constant as an attribute of the converted type.
TypedAttr elementOf(ElementsAttr constant, Type converted) {
  auto dense = dyn_cast<DenseElementsAttr>(constant);
  if (!dense)
    return {};
  if (isa<FloatType>(converted))
    return FloatAttr::get(converted, *dense.getValues<APFloat>().begin());
  APInt v = *dense.getValues<APInt>().begin();
  unsigned width = converted.getIntOrFloatBitWidth();
  return IntegerAttr::get(converted, v.zextOrTrunc(width));
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

/// The number a constant scalar input holds.
std::optional<double> numberOf(const ValueInfo &info) {
  if (auto values = knownIntegers(info))
    return values->size() == 1 ? std::optional<double>((*values)[0])
                               : std::nullopt;
  auto dense = dyn_cast_or_null<DenseElementsAttr>(info.constant);
  if (!dense || dense.getNumElements() != 1 ||
      !isa<FloatType>(dense.getElementType()))
    return std::nullopt;
  APFloat v = *dense.getValues<APFloat>().begin();
  bool lost;
  v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
  return v.convertToDouble();
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
  const SmallVector<Dim> *depth = dataOf(ctx, 1);
  if (!depth || depth->size() != 1)
    return ctx.unsupported("the depth (input 1) must be a constant integer");
  if (!isIndexType(indices.elementType) || values.rank() != 1 ||
      (values.dims[0].isConst() && !values.dims[0].isConst(2)))
    return ctx.error("indices must be int32 or int64 and values hold 2 "
                     "elements; found " +
                     indices.str() + " and " + values.str());
  ctx.out(0).elementType = values.elementType;
  ctx.out(0).dims = indices.dims;
  ctx.out(0).dims.insert(ctx.out(0).dims.begin() + *axis, (*depth)[0]);
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
        Value i = toIndex(b, loc, args[0], ix.elementType);
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

LogicalResult inferSpaceDepth(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  int64_t block = ctx.intAttr("blocksize", 0);
  if (in.rank() != 4 || block < 1 || block > 4096)
    return ctx.error("blocksize must be positive and the input of rank 4; "
                     "found " +
                     Twine(block) + " and " + in.str());
  bool toSpace = ctx.type() == "DepthToSpace";
  Dim b = ctx.c(block), area = ctx.c(block * block);
  SmallVector<Dim> dims = in.dims;
  auto quotient = [&](Dim x, Dim y) -> FailureOr<Dim> {
    auto exact = divide(productOf(x), productOf(y));
    if (!exact)
      return ctx.error(x.str() + " is not a multiple of " + y.str());
    return toDim(ctx.dims, *exact);
  };
  for (int64_t d : {1, 2, 3}) {
    bool divides = (d == 1) == toSpace;
    Dim by = d == 1 ? area : b;
    FailureOr<Dim> r =
        divides ? quotient(dims[d], by) : mulDims(ctx.dims, dims[d], by);
    if (failed(r))
      return failure();
    dims[d] = *r;
  }
  StringRef mode = ctx.strAttr("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    return ctx.error("mode must be \"DCR\" or \"CRD\"; found \"" + mode + "\"");
  ctx.out(0).elementType = in.elementType;
  ctx.out(0).dims = dims;
  return success();
}

LogicalResult expandSpaceDepth(ExpandContext &ctx) {
  const SmallVector<Dim> &in = ctx.inInfo(0).dims, &out = ctx.outInfo(0).dims;
  Dim b = ctx.dims.constant(ctx.intAttr("blocksize", 1));
  SmallVector<Dim> split;
  SmallVector<int64_t> perm;
  if (ctx.type() == "SpaceToDepth") {
    split = {in[0], in[1], out[2], b, out[3], b};
    perm = {0, 3, 5, 1, 2, 4};
  } else if (ctx.strAttr("mode", "DCR") == "DCR") {
    split = {in[0], b, b, out[1], in[2], in[3]};
    perm = {0, 3, 4, 1, 5, 2};
  } else {
    split = {in[0], out[1], b, b, in[2], in[3]};
    perm = {0, 1, 4, 2, 5, 3};
  }
  SmallVector<Dim> moved;
  for (int64_t p : perm)
    moved.push_back(split[p]);
  Value v = reshape(ctx, input(ctx, 0), in, split);
  v = transpose(ctx, v, split, perm);
  give(ctx, 0, reshape(ctx, v, moved, out));
  return success();
}

//===----------------------------------------------------------------------===//
// ReverseSequence
//===----------------------------------------------------------------------===//

LogicalResult inferReverseSequence(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0), &lengths = ctx.in(1);
  int64_t batch = ctx.intAttr("batch_axis", 1),
          time = ctx.intAttr("time_axis", 0);
  if (in.rank() < 2 || batch + time != 1 || batch < 0 || time < 0)
    return ctx.error("batch_axis and time_axis must be 0 and 1 in some order "
                     "and the input of rank 2 or more; found " +
                     Twine(batch) + ", " + Twine(time) + " and " + in.str());
  if (lengths.rank() != 1 || !lengths.elementType.isInteger(64))
    return ctx.error("sequence_lens must be int64 of rank 1; found " +
                     lengths.str());
  ctx.out(0).elementType = in.elementType;
  ctx.out(0).dims = in.dims;
  return success();
}

LogicalResult expandReverseSequence(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0), &lengths = ctx.inInfo(1);
  int64_t batch = ctx.intAttr("batch_axis", 1),
          time = ctx.intAttr("time_axis", 0);
  ctx.checkEqual(lengths.dims[0], in.dims[batch], "the number of sequences");
  Value data = input(ctx, 0), lens = input(ctx, 1),
        size = ctx.index(in.dims[time]);
  Value zero = constIndex(ctx, 0), one = constIndex(ctx, 1);
  Value end = arith::AddIOp::create(ctx.b, ctx.loc, size, one);
  checkRange(ctx, lens, lengths.elementType, zero, end,
             "a sequence is longer than the time axis");
  AffineMap identity = ctx.b.getMultiDimIdentityMap(in.rank());
  AffineMap read = AffineMap::get(
      in.rank(), 0, {getAffineDimExpr(batch, ctx.b.getContext())});
  Value out = generic(
      ctx, lens, {read, identity}, ctx.empty(ctx.outInfo(0)),
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        SmallVector<Value> at;
        for (int64_t d = 0; d < in.rank(); ++d)
          at.push_back(linalg::IndexOp::create(b, loc, d));
        Value length = toIndex(b, loc, args[0], lengths.elementType);
        Value within = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                             at[time], length);
        Value mirrored = arith::SubIOp::create(
            b, loc, arith::SubIOp::create(b, loc, length, one), at[time]);
        Value source =
            arith::SelectOp::create(b, loc, within, mirrored, at[time]);
        at[time] = clampIndex(b, loc, source, size);
        return tensor::ExtractOp::create(b, loc, data, at);
      });
  give(ctx, 0, out);
  return success();
}

template <LogicalResult (*infer)(InferContext &),
          LogicalResult (*expand)(ExpandContext &)>
OpEntry row(StringRef name, unsigned minInputs, unsigned maxInputs) {
  return {name, 13, 28, minInputs, maxInputs, checked<infer>, orKnown<expand>,
          ""};
}

} // namespace

void addShapeOps(std::vector<OpEntry> &t) {
  t.push_back(row<inferShape, expandNever>("Shape", 1, 1));
  t.push_back(row<inferSize, expandNever>("Size", 1, 1));
  t.push_back(row<inferReshape, expandReshape>("Reshape", 2, 2));
  t.push_back(row<inferFlatten, expandReshape>("Flatten", 1, 1));
  t.push_back(row<inferSqueeze, expandSqueeze>("Squeeze", 1, 2));
  t.push_back(row<inferUnsqueeze, expandReshape>("Unsqueeze", 2, 2));
  t.push_back(row<inferTranspose, expandTranspose>("Transpose", 1, 1));
  t.push_back(row<inferConcat, expandConcat>("Concat", 1, 1 << 16));
  t.push_back(row<inferSplit, expandSplit>("Split", 1, 2));
  t.push_back(row<inferSlice, expandSlice>("Slice", 3, 5));
  t.push_back(row<inferGather, expandGather>("Gather", 2, 2));
  t.push_back(
      row<inferGatherElements, expandGatherElements>("GatherElements", 2, 2));
  t.push_back(row<inferGatherND, expandGatherND>("GatherND", 2, 2));
  t.push_back(row<inferScatterND, expandScatterND>("ScatterND", 3, 3));
  t.push_back(row<inferScatterElements, expandScatterElements>(
      "ScatterElements", 3, 3));
  t.push_back(row<inferExpand, expandExpand>("Expand", 2, 2));
  t.push_back(row<inferTile, expandTile>("Tile", 2, 2));
  t.push_back(row<inferPad, expandPad>("Pad", 2, 4));
  t.push_back(row<inferConstantOfShape, expandConstantOfShape>(
      "ConstantOfShape", 1, 1));
  t.push_back(row<inferRange, expandRange>("Range", 3, 3));
  t.push_back(row<inferOneHot, expandOneHot>("OneHot", 3, 3));
  t.push_back(row<inferSpaceDepth, expandSpaceDepth>("DepthToSpace", 1, 1));
  t.push_back(row<inferSpaceDepth, expandSpaceDepth>("SpaceToDepth", 1, 1));
  t.push_back(row<inferReverseSequence, expandReverseSequence>(
      "ReverseSequence", 2, 2));
}

} // namespace lnn::onnx
