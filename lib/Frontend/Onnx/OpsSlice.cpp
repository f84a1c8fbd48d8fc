//===- OpsSlice.cpp - Slice
//-------------------------------------------------===//
//
// Bounds may depend on sizes; what cannot be told apart before the run is
// clamped there.
//
//===----------------------------------------------------------------------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

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

/// starts, ends, axes and steps.
struct SliceLists {
  SmallVector<Dim> starts, ends;
  SmallVector<int64_t> axes, steps;
};

/// From attributes, as before opset 10.
LogicalResult listsOfAttributes(NodeView &node, DimContext &c,
                                SliceLists &lists) {
  auto starts = node.intsAttr("starts"), ends = node.intsAttr("ends"),
       axes = node.intsAttr("axes");
  if (!starts || !ends)
    return node.error("starts and ends are needed");
  for (int64_t v : *starts)
    lists.starts.push_back(c.constant(v));
  for (int64_t v : *ends)
    lists.ends.push_back(c.constant(v));
  lists.axes =
      axes ? *axes : llvm::to_vector(llvm::seq<int64_t>(0, starts->size()));
  lists.steps.assign(starts->size(), 1);
  return success();
}

LogicalResult listsOfInputs(NodeView &node, InfoFn in, SliceLists &lists) {
  for (unsigned i : {1u, 2u})
    if (!in(i).data)
      return node.unsupported(Twine(i == 1 ? "starts" : "ends") + " (input " +
                              Twine(i) +
                              ") must be known from constants and the sizes of "
                              "inputs");
  lists.starts = *in(1).data;
  lists.ends = *in(2).data;
  lists.axes = llvm::to_vector(llvm::seq<int64_t>(0, lists.starts.size()));
  lists.steps.assign(lists.starts.size(), 1);
  for (unsigned i : {3u, 4u}) {
    if (!node.hasInput(i))
      continue;
    std::optional<SmallVector<int64_t>> values = knownIntegers(in(i));
    if (!values)
      return node.unsupported(Twine(i == 3 ? "axes" : "steps") + " (input " +
                              Twine(i) + ") must be constant");
    (i == 3 ? lists.axes : lists.steps) = *values;
  }
  return success();
}

/// All sliced axes; each is given at most once.
LogicalResult sliceAxes(NodeView &node, DimContext &c, InfoFn in,
                        SmallVector<AxisSlice> &out) {
  const ValueInfo &data = in(0);
  SliceLists lists;
  if (failed(node.opset() < 10 ? listsOfAttributes(node, c, lists)
                               : listsOfInputs(node, in, lists)))
    return failure();
  const auto &[starts, ends, axes, stepValues] = lists;
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

/// Row-major contents of these sizes, cut along one axis; all are constants.
SmallVector<Dim> sliced(ArrayRef<Dim> contents, ArrayRef<Dim> sizes,
                        const AxisSlice &slice) {
  int64_t inner = 1, outer = 1, size = sizes[slice.axis].value();
  for (auto [d, n] : llvm::enumerate(sizes))
    if (int64_t(d) != slice.axis)
      (int64_t(d) < slice.axis ? outer : inner) *= n.value();
  SmallVector<Dim> result;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < slice.size.value(); ++i) {
      int64_t from = slice.start.value() + i * slice.step;
      llvm::append_range(result,
                         contents.slice((o * size + from) * inner, inner));
    }
  return result;
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
  std::optional<SmallVector<Dim>> part = contentsOf(ctx, 0);
  if (!part)
    return success();
  SmallVector<Dim> sizes = ctx.in(0).dims;
  for (const AxisSlice &a : axes) {
    if (!a.start.isConst() || !a.size.isConst())
      return success();
    part = sliced(*part, sizes, a);
    sizes[a.axis] = a.size;
  }
  setContents(out, std::move(*part));
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

} // namespace

void addSliceOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferSlice, expandSlice>("Slice", 1, 1, kFirstOpset, 9));
  t.push_back(entry<inferSlice, expandSlice>("Slice", 3, 5, 10));
}

} // namespace lnn::onnx
