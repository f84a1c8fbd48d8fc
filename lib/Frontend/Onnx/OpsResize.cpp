//===- OpsResize.cpp - Resize and Upsample --------------------------------===//
//
// Interpolation is separable: each axis is resized on its own, from tables of
// the elements that an output reads and their weights. A table is a constant
// where sizes are, otherwise it is computed when the model runs.
//
//===----------------------------------------------------------------------===//
#include "OpReductionHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;

//===----------------------------------------------------------------------===//
// Numbers that may be constants
//===----------------------------------------------------------------------===//

/// An f64 that is known now, or a value.
struct Num {
  double known = 0;
  Value value;
  OpBuilder *b = nullptr;
  Location loc;

  Num(double known, Location loc) : known(known), loc(loc) {}
  Num(Value value, OpBuilder &b, Location loc)
      : value(value), b(&b), loc(loc) {}
  bool isKnown() const { return !value; }
  Value get(OpBuilder &at) const {
    return value ? value : scalar(at, loc, at.getF64Type(), known);
  }
};

template <typename Op> Num binary(double folded, const Num &l, const Num &r) {
  if (l.isKnown() && r.isKnown())
    return Num(folded, l.loc);
  OpBuilder &b = l.b ? *l.b : *r.b;
  return Num(Op::create(b, l.loc, l.get(b), r.get(b)), b, l.loc);
}
Num operator+(const Num &l, const Num &r) {
  return binary<arith::AddFOp>(l.known + r.known, l, r);
}
Num operator-(const Num &l, const Num &r) {
  return binary<arith::SubFOp>(l.known - r.known, l, r);
}
Num operator*(const Num &l, const Num &r) {
  return binary<arith::MulFOp>(l.known * r.known, l, r);
}
Num operator/(const Num &l, const Num &r) {
  return binary<arith::DivFOp>(l.known / r.known, l, r);
}
Num operator+(const Num &l, double r) { return l + Num(r, l.loc); }
Num operator-(const Num &l, double r) { return l - Num(r, l.loc); }
Num operator*(const Num &l, double r) { return l * Num(r, l.loc); }
Num operator/(const Num &l, double r) { return l / Num(r, l.loc); }

Num floorOf(const Num &x) {
  if (x.isKnown())
    return Num(std::floor(x.known), x.loc);
  return Num(math::FloorOp::create(*x.b, x.loc, x.value), *x.b, x.loc);
}
Num ceilOf(const Num &x) { return floorOf(x * -1.0) * -1.0; }
Num absOf(const Num &x) {
  if (x.isKnown())
    return Num(std::abs(x.known), x.loc);
  return Num(math::AbsFOp::create(*x.b, x.loc, x.value), *x.b, x.loc);
}
/// then where l < r, otherwise otherwise.
Num ifLess(const Num &l, const Num &r, const Num &then, const Num &otherwise) {
  if (l.isKnown() && r.isKnown())
    return l.known < r.known ? then : otherwise;
  OpBuilder &b = l.b ? *l.b : *r.b;
  Value less = arith::CmpFOp::create(b, l.loc, arith::CmpFPredicate::OLT,
                                     l.get(b), r.get(b));
  return Num(
      arith::SelectOp::create(b, l.loc, less, then.get(b), otherwise.get(b)), b,
      l.loc);
}

//===----------------------------------------------------------------------===//
// What is asked for
//===----------------------------------------------------------------------===//

struct Axis {
  int64_t at;
  Dim in, out;
  std::optional<double> scale; ///< out / in where it is not given
  double begin = 0, end = 1;   ///< tf_crop_and_resize's region
};

struct Request {
  std::string mode, transform, nearest;
  bool antialias = false, excludeOutside = false;
  double cubic = -0.75, beyond = 0;
  SmallVector<Axis> axes; ///< those whose size or place changes
  SmallVector<Dim> out;
};

std::optional<SmallVector<double>> floatsOf(const ValueInfo &info) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(info.constant);
  if (!dense || !isa<FloatType>(dense.getElementType()))
    return std::nullopt;
  SmallVector<double> values;
  for (APFloat v : dense.getValues<APFloat>()) {
    bool lost;
    v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
    values.push_back(v.convertToDouble());
  }
  return values;
}

bool isEmpty(const ValueInfo &info) {
  return !info.present() || (info.rank() == 1 && info.dims[0].isConst(0));
}

/// floor(size * scale), or null where it cannot be said for all sizes.
Dim scaled(DimContext &c, Dim size, double scale) {
  if (size.isConst())
    return c.constant(std::floor(size.value() * scale));
  for (int64_t q = 1; q <= 64; ++q) {
    double p = scale * q;
    if (p != std::floor(p) || p > 1 << 20)
      continue;
    Dim whole = mulDims(c, size, c.constant(p));
    return q == 1 ? whole : c.floorDiv(whole, c.constant(q));
  }
  return {};
}

LogicalResult readModes(NodeView &node, Request &r) {
  bool old = node.opset() < 11 || node.type() == "Upsample";
  r.mode = node.strAttr("mode", "nearest").str();
  r.transform =
      old ? "asymmetric"
          : node.strAttr("coordinate_transformation_mode", "half_pixel").str();
  r.nearest =
      old ? "floor" : node.strAttr("nearest_mode", "round_prefer_floor").str();
  r.antialias = node.intAttr("antialias", 0) != 0;
  r.excludeOutside = node.intAttr("exclude_outside", 0) != 0;
  r.cubic = node.floatAttr("cubic_coeff_a", -0.75);
  r.beyond = node.floatAttr("extrapolation_value", 0);
  if (!llvm::is_contained({"nearest", "linear", "cubic"}, StringRef(r.mode)))
    return node.error("mode \"" + r.mode + "\" is unknown");
  if (!llvm::is_contained({"half_pixel", "half_pixel_symmetric",
                           "pytorch_half_pixel", "align_corners", "asymmetric",
                           "tf_crop_and_resize"},
                          StringRef(r.transform)))
    return node.error("coordinate_transformation_mode \"" + r.transform +
                      "\" is unknown");
  if (!llvm::is_contained(
          {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"},
          StringRef(r.nearest)))
    return node.error("nearest_mode \"" + r.nearest + "\" is unknown");
  return success();
}

/// The axes that scales and sizes are of.
FailureOr<SmallVector<int64_t>> axesOf(NodeView &node, int64_t rank) {
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (auto given = node.intsAttr("axes")) {
    axes = *given;
    SmallVector<bool> seen(rank, false);
    for (int64_t &axis : axes) {
      if (axis < -rank || axis >= rank)
        return node.error("axis " + Twine(axis) + " is outside the rank");
      axis = axis < 0 ? axis + rank : axis;
      if (seen[axis])
        return node.error("axis " + Twine(axis) + " is given twice");
      seen[axis] = true;
    }
  }
  return axes;
}

/// Sizes that keep the input's proportions.
LogicalResult keepAspect(NodeView &node, StringRef policy, DimContext &c,
                         ArrayRef<Dim> in, ArrayRef<int64_t> axes,
                         SmallVector<Dim> &sizes,
                         std::optional<double> &scale) {
  if (policy == "stretch")
    return success();
  if (policy != "not_larger" && policy != "not_smaller")
    return node.error("keep_aspect_ratio_policy \"" + policy + "\" is unknown");
  for (auto [axis, size] : llvm::zip(axes, sizes)) {
    if (!size.isConst() || !in[axis].isConst() || in[axis].isConst(0))
      return node.unsupported("keep_aspect_ratio_policy of sizes that are not "
                              "constant");
    double ratio = double(size.value()) / in[axis].value();
    bool smaller = policy == "not_larger";
    if (!scale || (smaller ? ratio < *scale : ratio > *scale))
      scale = ratio;
  }
  for (auto [axis, size] : llvm::zip(axes, sizes))
    size = c.constant(std::floor(*scale * in[axis].value() + 0.5));
  return success();
}

/// The scales, of an attribute (Upsample-7) or an input.
FailureOr<SmallVector<double>> scalesOf(NodeView &node, InfoFn in, unsigned i) {
  if (auto given = node.floatsAttr("scales"))
    return *given;
  auto values = node.hasInput(i) ? floatsOf(in(i)) : std::nullopt;
  if (!values)
    return node.unsupported("the scales must be constant");
  return *values;
}

LogicalResult readRequest(NodeView &node, DimContext &c, InfoFn in,
                          Request &r) {
  ArrayRef<Dim> dims = in(0).dims;
  FailureOr<SmallVector<int64_t>> axes = axesOf(node, dims.size());
  if (failed(axes) || failed(readModes(node, r)))
    return failure();
  bool old = node.opset() < 11 || node.type() == "Upsample";
  unsigned scalesAt = old ? 1 : 2;
  SmallVector<Dim> sizes;
  SmallVector<double> scales;
  std::optional<double> common;
  if (!old && node.hasInput(3) && !isEmpty(in(3))) {
    if (!in(3).data)
      return node.unsupported("the sizes (input 3) must be known from "
                              "constants and the sizes of inputs");
    sizes = *in(3).data;
    if (sizes.size() == axes->size() &&
        failed(keepAspect(node,
                          node.strAttr("keep_aspect_ratio_policy", "stretch"),
                          c, dims, *axes, sizes, common)))
      return failure();
  } else {
    auto given = scalesOf(node, in, scalesAt);
    if (failed(given))
      return failure();
    scales = *given;
    for (double s : scales)
      if (!(s > 0 && s < 1 << 20))
        return node.error("a scale must be positive");
  }
  size_t n = axes->size();
  if ((scales.empty() ? sizes.size() : scales.size()) != n)
    return node.error("scales or sizes must be " + Twine(n) + " numbers");
  std::optional<SmallVector<double>> roi;
  if (r.transform == "tf_crop_and_resize") {
    roi = node.hasInput(1) ? floatsOf(in(1)) : std::nullopt;
    if (!roi || roi->size() != 2 * n)
      return node.unsupported("the region (input 1) must be constant");
  }
  r.out.assign(dims.begin(), dims.end());
  for (size_t i = 0; i < n; ++i) {
    Axis axis{(*axes)[i], dims[(*axes)[i]], {}, common};
    if (!scales.empty())
      axis.scale = scales[i];
    axis.out = scales.empty() ? sizes[i] : scaled(c, axis.in, scales[i]);
    if (!axis.out)
      return node.unsupported("a scale of " + std::to_string(scales[i]) +
                              " of a size that is not constant");
    if (axis.out.isConst() && axis.out.value() < 0)
      return node.error("a size is negative");
    if (axis.in.isConst(0) && !axis.out.isConst(0))
      return node.error("an empty dimension cannot be resized");
    r.out[axis.at] = axis.out;
    if (roi) {
      axis.begin = (*roi)[i];
      axis.end = (*roi)[n + i];
    }
    bool same = axis.out == axis.in && axis.scale.value_or(1) == 1 &&
                axis.begin == 0 && axis.end == 1;
    if (!same)
      r.axes.push_back(axis);
  }
  return success();
}

LogicalResult inferResize(InferContext &ctx) {
  Request r;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(readRequest(ctx, ctx.dims, in, r)))
    return failure();
  if (r.mode != "nearest" &&
      failed(requireType(ctx, 0, isFloat, "a float tensor")))
    return failure();
  ctx.out(0).elementType = ctx.in(0).elementType;
  ctx.out(0).dims = r.out;
  return success();
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

struct Tap {
  Num index, weight;
};
struct Taps {
  SmallVector<Tap> taps;
  std::optional<Num> inside; ///< 0 where the extrapolation value is taken
};

/// Computes what the output at one place reads.
class Sampler {
public:
  Sampler(const Request &r, const Axis &axis, Num in, Num out)
      : r(r), axis(axis), in(in), out(out),
        scale(axis.scale ? Num(*axis.scale, in.loc) : out / in),
        width(axis.scale ? scale * in : out) {}

  Taps at(Num y) const {
    Taps result;
    Num x = source(y);
    Num zero = c(0), one = c(1);
    if (r.transform == "tf_crop_and_resize")
      result.inside = ifLess(x, zero, zero, ifLess(in - 1.0, x, zero, one));
    if (r.mode == "nearest") {
      result.taps.push_back({clamp(nearest(x)), one});
      return result;
    }
    // The element left of x, or at x - 1 where x is whole.
    Num left = ceilOf(x) - 1.0, ratio = x - left;
    Num total = zero;
    for (int64_t k = -reach() + 1; k <= reach(); ++k) {
      Num w = weight(k, ratio), index = left + double(k);
      if (r.excludeOutside)
        w = ifLess(index, zero, zero, ifLess(in - 1.0, index, zero, w));
      total = total + w;
      result.taps.push_back({clamp(index), w});
    }
    if (r.excludeOutside || r.antialias)
      for (Tap &tap : result.taps)
        tap.weight = tap.weight / total;
    return result;
  }

private:
  const Request &r;
  const Axis &axis;
  Num in, out, scale, width;

  Num c(double v) const { return Num(v, in.loc); }
  Num clamp(const Num &i) const {
    Num last = in - 1.0;
    return ifLess(i, c(0), c(0), ifLess(last, i, last, i));
  }
  /// Elements read on each side.
  int64_t reach() const {
    double side = r.mode == "cubic" ? 2 : 1;
    if (!r.antialias || !scale.isKnown())
      return side;
    return -(std::floor(-side / std::min(scale.known, 1.0)) + 1) + 1;
  }
  Num source(const Num &y) const {
    Num half = (y + 0.5) / scale - 0.5, last = in - 1.0, one = c(1);
    StringRef t = r.transform;
    // Equal to 1: neither below nor above.
    auto ifOne = [&](const Num &then, const Num &otherwise) {
      return ifLess(width, one, otherwise, ifLess(one, width, otherwise, then));
    };
    if (t == "asymmetric")
      return y / scale;
    if (t == "align_corners")
      return ifOne(c(0), y * last / (width - 1.0));
    if (t == "pytorch_half_pixel")
      return ifOne(c(-0.5), half);
    if (t == "half_pixel_symmetric")
      return in / 2.0 * (one - out / width) + half;
    if (t == "half_pixel")
      return half;
    double span = axis.end - axis.begin;
    Num x = ifOne(last * span / 2.0, y * span * last / (width - 1.0));
    return x + last * axis.begin;
  }
  Num nearest(const Num &x) const {
    if (r.nearest == "floor")
      return floorOf(x);
    if (r.nearest == "ceil")
      return ceilOf(x);
    if (r.nearest == "round_prefer_floor")
      return ceilOf(x - 0.5);
    return floorOf(x + 0.5);
  }
  Num weight(int64_t k, const Num &ratio) const {
    Num d = absOf(c(k) - ratio);
    if (r.antialias && scale.isKnown())
      d = d * std::min(scale.known, 1.0);
    if (r.mode == "linear")
      return ifLess(c(1), d, c(0), c(1) - d);
    double a = r.cubic;
    Num near = ((d * (a + 2) - (a + 3)) * d) * d + 1.0;
    Num far = ((d * a - 5 * a) * d + 8 * a) * d - 4 * a;
    return ifLess(c(1), d, ifLess(d, c(2), far, c(0)), near);
  }
};

/// The tables of one axis: an index and a weight for each tap, then `inside`.
struct Tables {
  SmallVector<Value> indices, weights;
  Value inside;
};

Tables constantTables(ExpandContext &ctx, const Request &r, const Axis &axis,
                      Type type) {
  int64_t n = axis.out.value();
  Sampler sampler(r, axis, Num(axis.in.value(), ctx.loc), Num(n, ctx.loc));
  SmallVector<SmallVector<int64_t>> indices;
  SmallVector<SmallVector<double>> weights;
  SmallVector<double> inside;
  for (int64_t y = 0; y < n; ++y) {
    Taps taps = sampler.at(Num(y, ctx.loc));
    indices.resize(taps.taps.size());
    weights.resize(taps.taps.size());
    for (auto [k, tap] : llvm::enumerate(taps.taps)) {
      indices[k].push_back(tap.index.known);
      weights[k].push_back(tap.weight.known);
    }
    if (taps.inside)
      inside.push_back(taps.inside->known);
  }
  auto floats = [&](ArrayRef<double> values) -> Value {
    SmallVector<Attribute> elements;
    for (double v : values)
      elements.push_back(FloatAttr::get(type, v));
    return arith::ConstantOp::create(
        ctx.b, ctx.loc,
        DenseElementsAttr::get(RankedTensorType::get({n}, type), elements));
  };
  Tables tables;
  for (auto [i, w] : llvm::zip(indices, weights)) {
    auto ints = RankedTensorType::get({n}, ctx.b.getI64Type());
    tables.indices.push_back(arith::ConstantOp::create(
        ctx.b, ctx.loc, DenseElementsAttr::get(ints, ArrayRef<int64_t>(i))));
    tables.weights.push_back(floats(w));
  }
  if (!inside.empty())
    tables.inside = floats(inside);
  return tables;
}

Tables computedTables(ExpandContext &ctx, const Request &r, const Axis &axis,
                      Type type) {
  ValueInfo info;
  info.dims = {axis.out};
  Value sizes[] = {ctx.index(axis.in), ctx.index(axis.out)};
  // One table: part < 0 is `inside`, even parts are indices, odd ones weights.
  auto table = [&](int64_t part, Type element) {
    info.elementType = element;
    return generate(ctx, info, [&](OpBuilder &b, Location loc, ValueRange at) {
      auto number = [&](Value v) {
        v = arith::IndexCastOp::create(b, loc, b.getI64Type(), v);
        v = arith::SIToFPOp::create(b, loc, b.getF64Type(), v);
        return Num(v, b, loc);
      };
      auto size = [&](Dim d, Value v) {
        return d.isConst() ? Num(d.value(), loc) : number(v);
      };
      Sampler sampler(r, axis, size(axis.in, sizes[0]),
                      size(axis.out, sizes[1]));
      Taps taps = sampler.at(number(at[0]));
      if (part < 0)
        return narrow(b, loc, taps.inside->get(b), element);
      const Tap &tap = taps.taps[part / 2];
      if (part % 2)
        return narrow(b, loc, tap.weight.get(b), element);
      return Value(arith::FPToSIOp::create(b, loc, element, tap.index.get(b)));
    });
  };
  Sampler shape(r, axis, Num(1, ctx.loc), Num(1, ctx.loc));
  int64_t n = shape.at(Num(0, ctx.loc)).taps.size();
  Tables tables;
  for (int64_t k = 0; k < n; ++k) {
    tables.indices.push_back(table(2 * k, ctx.b.getI64Type()));
    tables.weights.push_back(table(2 * k + 1, type));
  }
  if (r.transform == "tf_crop_and_resize")
    tables.inside = table(-1, type);
  return tables;
}

//===----------------------------------------------------------------------===//
// Expansion
//===----------------------------------------------------------------------===//

/// One axis resized; `dims` becomes the result's shape.
Value resizeAxis(ExpandContext &ctx, Value x, SmallVector<Dim> &dims,
                 const Request &r, const Axis &axis, Type onnxType) {
  Type type =
      isFloat(onnxType) ? computeType(onnxType) : Type(ctx.b.getF32Type());
  Type stored = ExpandContext::converted(onnxType);
  bool known =
      axis.in.isConst() && axis.out.isConst() && axis.out.value() <= 1 << 16;
  Tables tables = known ? constantTables(ctx, r, axis, type)
                        : computedTables(ctx, r, axis, type);
  bool plain = r.mode == "nearest";
  size_t n = tables.indices.size();
  SmallVector<Value> inputs(tables.indices);
  if (!plain)
    inputs.append(tables.weights);
  if (tables.inside)
    inputs.push_back(tables.inside);
  dims[axis.at] = axis.out;
  unsigned rank = dims.size();
  AffineMap along =
      AffineMap::get(rank, 0, {getAffineDimExpr(axis.at, ctx.b.getContext())});
  SmallVector<AffineMap> maps(inputs.size(), along);
  maps.push_back(ctx.b.getMultiDimIdentityMap(rank));
  return generic(
      ctx, inputs, maps, ctx.empty(dims, stored),
      [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
        SmallVector<Value> at;
        for (unsigned d = 0; d < rank; ++d)
          at.push_back(linalg::IndexOp::create(b, loc, d));
        Value sum;
        for (size_t k = 0; k < n; ++k) {
          at[axis.at] =
              arith::IndexCastOp::create(b, loc, b.getIndexType(), a[k]);
          Value v = tensor::ExtractOp::create(b, loc, x, at);
          if (!plain)
            v = mulf(b, loc, widen(b, loc, v), a[n + k]);
          sum = sum ? addf(b, loc, sum, v) : v;
        }
        if (!plain)
          sum = narrow(b, loc, sum, stored);
        if (!tables.inside)
          return sum;
        Value here = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT,
                                           a[inputs.size() - 1],
                                           scalar(b, loc, type, 0.5));
        return arith::SelectOp::create(b, loc, here, sum,
                                       scalar(b, loc, stored, r.beyond));
      });
}

LogicalResult expandResize(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0);
  Request r;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(readRequest(ctx, ctx.dims, in, r)))
    return failure();
  if (r.antialias)
    for (const Axis &axis : r.axes)
      if (!axis.scale && !(axis.in.isConst() && axis.out.isConst()))
        return ctx.unsupported("antialias with sizes that are not constant");
  Value x = input(ctx, 0),
        zero = arith::ConstantIndexOp::create(ctx.b, ctx.loc, 0);
  for (const Axis &axis : r.axes) {
    if (!isNonNegative(axis.out))
      check(ctx,
            arith::CmpIOp::create(ctx.b, ctx.loc, arith::CmpIPredicate::sge,
                                  ctx.index(axis.out), zero),
            "a size must not be negative");
    if (!axis.in.isConst())
      check(ctx,
            arith::CmpIOp::create(ctx.b, ctx.loc, arith::CmpIPredicate::sgt,
                                  ctx.index(axis.in), zero),
            "an empty dimension cannot be resized");
  }
  SmallVector<Dim> dims = from.dims;
  for (const Axis &axis : r.axes)
    x = resizeAxis(ctx, x, dims, r, axis, from.elementType);
  give(ctx, 0, x);
  return success();
}

} // namespace

void addResizeOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferResize, expandResize>("Resize", 2, 2, 10, 10));
  t.push_back(entry<inferResize, expandResize>("Resize", 1, 4, 11));
  t.push_back(entry<inferResize, expandResize>("Upsample", 1, 2));
}

} // namespace lnn::onnx
