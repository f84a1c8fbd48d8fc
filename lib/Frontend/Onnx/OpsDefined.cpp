//===- OpsDefined.cpp - small operators that others define ----------------===//
//
// Operators whose definition in ONNX is a line or two of others.
//
//===----------------------------------------------------------------------===//
#include "OpCompose.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

FailureOr<int64_t> axisOf(Composer &g, int64_t otherwise) {
  int64_t axis = g.intAttr("axis", otherwise), rank = g.inInfo(0).rank();
  if (axis < -rank || axis >= rank)
    return g.error("axis " + Twine(axis) + " is outside the rank of " +
                   g.inInfo(0).str());
  return axis < 0 ? axis + rank : axis;
}

LogicalResult requireFloat(Composer &g) {
  if (isFloat(g.inInfo(0).elementType))
    return success();
  return g.error("the input must be a float tensor; found " +
                 g.inInfo(0).str());
}

LogicalResult swiGlu(Composer &g) {
  SmallVector<NamedAttribute> attrs;
  g.copyAttr("alpha", attrs);
  g.give(0, g.mul(g.node("Swish", {g.in(0)}, attrs), g.in(1)));
  return success();
}

/// 1 at the first maximum along the axis, otherwise 0. Before opset 13 all
/// dimensions from the axis on are one.
LogicalResult hardmax(Composer &g) {
  FailureOr<int64_t> axis = axisOf(g, g.opset() < 13 ? 1 : -1);
  if (failed(axis) || failed(requireFloat(g)))
    return failure();
  Value x = g.in(0);
  SmallVector<Dim> dims = g.info(x).dims;
  if (g.opset() < 13) {
    x = g.node("Flatten", {x}, {g.attr("axis", *axis)});
    *axis = 1;
  }
  if (!g.ok())
    return failure();
  Value best = g.node("ArgMax", {x}, {g.attr("axis", *axis)});
  Value places = g.node(
      "Range", {g.integer(0), g.node("Squeeze", {g.sizes({g.dim(x, *axis)})}),
                g.integer(1)});
  SmallVector<int64_t> behind;
  for (int64_t d = *axis + 1; d < g.rank(x); ++d)
    behind.push_back(d - *axis);
  if (!behind.empty())
    places = g.unsqueeze(places, behind);
  Value y = g.cast(g.node("Equal", {best, places}), g.type(x));
  g.give(0, g.reshape(y, dims));
  return success();
}

LogicalResult meanVarianceNormalization(Composer &g) {
  if (failed(requireFloat(g)))
    return failure();
  SmallVector<int64_t> axes =
      g.intsAttr("axes").value_or(SmallVector<int64_t>{0, 2, 3});
  Value x = g.in(0);
  Value centered = g.sub(x, g.reduce("ReduceMean", x, axes));
  Value variance = g.reduce("ReduceMean", g.mul(centered, centered), axes);
  Value deviation = g.node("Sqrt", {variance});
  Type type = g.type(x);
  g.give(0, g.div(centered, g.add(deviation, g.number(1e-9, type))));
  return success();
}

LogicalResult lpNormalization(Composer &g) {
  FailureOr<int64_t> axis = axisOf(g, -1);
  int64_t p = g.intAttr("p", 2);
  if (failed(axis) || failed(requireFloat(g)))
    return failure();
  if (p != 1 && p != 2)
    return g.error("p must be 1 or 2; found " + Twine(p));
  Value x = g.in(0);
  Value norm = g.reduce(p == 1 ? "ReduceL1" : "ReduceL2", x, {*axis});
  // Where all is 0, so is the result.
  Type type = g.type(x);
  Value none = g.node("Equal", {norm, g.number(0, type)});
  Value y = g.div(x, g.node("Where", {none, g.number(1, type), norm}));
  g.give(0, y);
  return success();
}

/// x / (bias + alpha / size * sum of squares of near channels)^beta
LogicalResult localResponse(Composer &g) {
  int64_t size = g.intAttr("size", 0);
  if (failed(requireFloat(g)) || g.inInfo(0).rank() < 2)
    return g.error("the input must be a float tensor of rank 2 or more");
  if (size < 1 || size > 64)
    return g.unsupported("size = " + Twine(size) + " (1 to 64 are supported)");
  Value x = g.in(0);
  Type type = g.type(x);
  SmallVector<Dim> pads(2 * g.rank(x), g.dims.constant(0));
  pads[1] = g.dims.constant((size - 1) / 2);
  pads[g.rank(x) + 1] = g.dims.constant(size / 2);
  Value squares = g.node("Pad", {g.mul(x, x), g.sizes(pads)}), sum;
  for (int64_t k = 0; k < size && g.ok(); ++k) {
    Dim begin = g.dims.constant(k);
    Value part =
        g.slice(squares, 1, begin, addDims(g.dims, begin, g.dim(x, 1)));
    sum = sum ? g.add(sum, part) : part;
  }
  double alpha = g.floatAttr("alpha", 1e-4), beta = g.floatAttr("beta", 0.75);
  Value base = g.add(g.mul(sum, g.number(alpha / size, type)),
                     g.number(g.floatAttr("bias", 1), type));
  g.give(0, g.div(x, g.node("Pow", {base, g.number(beta, type)})));
  return success();
}

LogicalResult eyeLike(Composer &g) {
  const ValueInfo &x = g.inInfo(0);
  if (x.rank() != 2)
    return g.error("the input must have rank 2; found " + x.str());
  Type type = x.elementType;
  if (g.hasAttr("dtype"))
    type = typeOfEnum(g.op.getContext(), g.intAttr("dtype", 1));
  if (!type)
    return g.unsupported("ONNX data type " + Twine(g.intAttr("dtype", 1)));
  auto range = [&](int64_t d) {
    Value n = g.node("Squeeze", {g.sizes({x.dims[d]})});
    return g.node("Range", {g.integer(0), n, g.integer(1)});
  };
  Value rows = g.unsqueeze(range(0), {1}), columns = range(1);
  Value on =
      g.node("Equal", {g.add(rows, g.integer(g.intAttr("k", 0))), columns});
  g.give(0, g.cast(on, type));
  return success();
}

/// The middle of each axis, or the input in the middle of zeros.
LogicalResult centerCropPad(Composer &g) {
  const ValueInfo &x = g.inInfo(0), &shape = g.inInfo(1);
  int64_t rank = x.rank();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (auto given = g.intsAttr("axes"))
    axes = *given;
  if (!shape.data)
    return g.unsupported("the shape (input 1) must be known from constants and "
                         "the sizes of inputs");
  if (shape.data->size() != axes.size())
    return g.error("the shape must be " + Twine(axes.size()) + " sizes");
  DimContext &c = g.dims;
  SmallVector<Dim> pads(2 * rank, c.constant(0));
  for (auto [axis, want] : llvm::zip(axes, *shape.data)) {
    if (axis < -rank || axis >= rank)
      return g.error("axis " + Twine(axis) + " is outside the rank of " +
                     x.str());
    int64_t d = axis < 0 ? axis + rank : axis;
    Dim more = subDims(c, want, x.dims[d]);
    if (!more || !more.isConst())
      return g.unsupported("a size that is not constant");
    // Halves are rounded toward zero, before.
    int64_t before = more.value() / 2;
    pads[d] = c.constant(before);
    pads[rank + d] = c.constant(more.value() - before);
  }
  Value y = g.in(0);
  if (llvm::any_of(pads, [](Dim d) { return !d.isConst(0); }))
    y = g.node("Pad", {y, g.sizes(pads)});
  g.give(0, y);
  return success();
}

} // namespace

void addDefinedOps(std::vector<OpEntry> &t) {
  t.push_back(composed<swiGlu>("SwiGLU", 2, 2, 28));
  t.push_back(composed<hardmax>("Hardmax", 1, 1));
  t.push_back(composed<meanVarianceNormalization>("MeanVarianceNormalization",
                                                  1, 1, 9));
  t.push_back(composed<lpNormalization>("LpNormalization", 1, 1));
  t.push_back(composed<localResponse>("LRN", 1, 1));
  t.push_back(composed<eyeLike>("EyeLike", 1, 1, 9));
  t.push_back(composed<centerCropPad>("CenterCropPad", 2, 2, 18));
}

} // namespace lnn::onnx
