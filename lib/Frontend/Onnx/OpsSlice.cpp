//===- OpsSlice.cpp - Slice -----------------------------------------------===//
//
// Bounds may depend on sizes; what cannot be told apart before the run is
// clamped there. Data may say where a window of known size begins, as a loop's
// counter does: it must lie within the dimension, which the run checks.
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
      return node.unsupported(
          Twine(i == 1 ? "starts" : "ends") + " (input " + Twine(i) +
          ") must be known from constants and the sizes of "
          "inputs, or both be of one integer (x[i : i + 2])");
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

//===----------------------------------------------------------------------===//
// Windows that data places: x[i : i + k]
//===----------------------------------------------------------------------===//

struct Window {
  int64_t axis, size;
};
using ValueInfoFn = llvm::function_ref<const ValueInfo &(Value)>;

std::optional<int64_t> onlyInteger(const ValueInfo &info) {
  std::optional<SmallVector<int64_t>> values = knownIntegers(info);
  return values && values->size() == 1 ? std::optional(values->front())
                                       : std::nullopt;
}

/// One integer as another value and a constant, through nodes that keep it.
std::pair<Value, int64_t> shifted(Value value, ValueInfoFn info) {
  constexpr unsigned depth = 16;
  constexpr int64_t far = int64_t(1) << 40;
  int64_t by = 0;
  for (unsigned i = 0; i < depth; ++i) {
    auto node = value.getDefiningOp<NodeOp>();
    if (!node || node.getDomain() || node.getInputs().empty())
      break;
    StringRef type = node.getOpType();
    Value first = node.getInputs()[0];
    bool keeps = type == "Unsqueeze" || type == "Squeeze" ||
                 type == "Reshape" || type == "Identity" ||
                 (type == "Cast" && isIndexType(info(first).elementType) &&
                  isIndexType(info(value).elementType));
    if (keeps) {
      value = first;
      continue;
    }
    if ((type != "Add" && type != "Sub") || node.getInputs().size() != 2)
      break;
    Value second = node.getInputs()[1];
    std::optional<int64_t> constant = onlyInteger(info(second));
    if (!constant && type == "Add") {
      std::swap(first, second);
      constant = onlyInteger(info(second));
    }
    if (!constant || *constant > far || *constant < -far)
      break;
    by += type == "Add" ? *constant : -*constant;
    value = first;
  }
  return {value, by};
}

/// None where starts and ends are known, or are no such bounds.
std::optional<Window> windowOf(NodeView &node, InfoFn in, ValueInfoFn info) {
  if (node.opset() < 10 || (in(1).data && in(2).data))
    return std::nullopt;
  auto isOne = [&](unsigned i) {
    return in(i).rank() == 1 && in(i).dims[0].isConst(1) &&
           isIndexType(in(i).elementType);
  };
  if (!isOne(1) || !isOne(2) || (node.hasInput(4) && onlyInteger(in(4)) != 1))
    return std::nullopt;
  std::optional<int64_t> axis = node.hasInput(3) ? onlyInteger(in(3)) : 0;
  auto [start, before] = shifted(node.op.getInputs()[1], info);
  auto [end, behind] = shifted(node.op.getInputs()[2], info);
  int64_t rank = in(0).rank();
  if (!axis || *axis < -rank || *axis >= rank || start != end ||
      behind <= before)
    return std::nullopt;
  return Window{*axis < 0 ? *axis + rank : *axis, behind - before};
}

LogicalResult inferWindow(InferContext &ctx, Window window) {
  ValueInfo &out = ctx.out(0);
  out.elementType = ctx.in(0).elementType;
  out.dims = ctx.in(0).dims;
  Dim &size = out.dims[window.axis];
  if (size.isConst() && size.value() < window.size)
    return ctx.error("a window of " + Twine(window.size) +
                     " is larger than dimension " + Twine(window.axis) +
                     " of " + ctx.in(0).str());
  size = ctx.dims.constant(window.size);
  return success();
}

void expandWindow(ExpandContext &ctx, Window window) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  Value start = reshape(ctx, input(ctx, 1), ctx.inInfo(1).dims, {});
  start =
      toIndex(b, loc, tensor::ExtractOp::create(b, loc, start, ValueRange()),
              ctx.inInfo(1).elementType);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        size = arith::ConstantIndexOp::create(b, loc, window.size),
        last = arith::SubIOp::create(
            b, loc, ctx.index(ctx.inInfo(0).dims[window.axis]), size);
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value c) {
    return arith::CmpIOp::create(b, loc, predicate, a, c);
  };
  check(ctx,
        arith::AndIOp::create(b, loc,
                              compare(arith::CmpIPredicate::sge, start, zero),
                              compare(arith::CmpIPredicate::sle, start, last)),
        "a window is outside of its dimension");
  // Clamped where it is used, too: the check may come behind.
  Value at = arith::MaxSIOp::create(
      b, loc, arith::MinSIOp::create(b, loc, start, last), zero);
  SmallVector<OpFoldResult> offsets = zeros(ctx, ctx.inInfo(0).rank());
  offsets[window.axis] = at;
  give(ctx, 0, slice(ctx, input(ctx, 0), offsets, ctx.outInfo(0).dims, {}));
}

LogicalResult inferSlice(InferContext &ctx) {
  auto info = [&](Value value) -> const ValueInfo & { return ctx.info(value); };
  auto given = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (std::optional<Window> window = windowOf(ctx, given, info))
    return inferWindow(ctx, *window);
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
  auto info = [&](Value value) -> const ValueInfo & { return ctx.info(value); };
  auto given = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (std::optional<Window> window = windowOf(ctx, given, info)) {
    expandWindow(ctx, *window);
    return success();
  }
  SmallVector<AxisSlice> axes;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(sliceAxes(ctx, ctx.dims, in, axes)))
    return failure();
  Value data = input(ctx, 0);
  int64_t rank = ctx.inInfo(0).rank();
  // Of axis and size: steps of a loop that are apart have to be there.
  if (auto least = ctx.op->getAttrOfType<DenseI64ArrayAttr>("lnn.least");
      least && least.size() == 2 && least[0] >= 0 && least[0] < rank)
    check(ctx,
          cmpi(ctx, arith::CmpIPredicate::sge,
               ctx.index(ctx.inInfo(0).dims[least[0]]),
               constIndex(ctx, least[1])),
          "the dimension that is to vary must be at least " + Twine(least[1]));
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
