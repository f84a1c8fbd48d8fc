//===- OpsQuantization.cpp - integers that stand for reals ----------------===//
//
// Quantized values are converted where they are used: products and sums are
// int32 as ONNX defines them, scaling is f32.
//
//===----------------------------------------------------------------------===//
#include "OpCompose.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

Type f32(Composer &g) { return Float32Type::get(g.op.getContext()); }
Type i32(Composer &g) { return IntegerType::get(g.op.getContext(), 32); }

bool isScalar(const ValueInfo &info) {
  return llvm::all_of(info.dims, [](Dim d) { return d.isConst(1); }) &&
         info.rank() <= 1;
}

LogicalResult requireSmallInt(Composer &g,
                              std::initializer_list<unsigned> list) {
  for (unsigned i : list) {
    Type type = g.inInfo(i).elementType;
    if (g.hasInput(i) && !(isInt(type) && type.getIntOrFloatBitWidth() <= 8))
      return g.error("input " + Twine(i) + " must be uint8 or int8; found " +
                     g.inInfo(i).str());
  }
  return success();
}

/// A scale or zero point so that it broadcasts against a tensor of rank `rank`
/// along `axis`; null where it does not fit.
Value along(Composer &g, Value v, int64_t axis, int64_t rank) {
  if (!v || !g.ok())
    return v;
  const ValueInfo &info = g.info(v);
  if (isScalar(info))
    return g.reshape(v, {});
  if (info.rank() != 1) {
    (void)g.error("a scale or zero point must be a scalar or a vector; found " +
                  info.str());
    return {};
  }
  SmallVector<Dim> dims(rank, g.dims.constant(1));
  dims[axis] = info.dims[0];
  return g.reshape(v, dims);
}

/// The axis attribute of QuantizeLinear and DequantizeLinear.
FailureOr<int64_t> quantizedAxis(Composer &g) {
  int64_t rank = g.inInfo(0).rank(), axis = g.intAttr("axis", 1);
  if (isScalar(g.inInfo(1)) || rank == 0)
    return 0;
  if (axis < -rank || axis >= rank)
    return g.error("axis " + Twine(axis) + " is outside the rank of " +
                   g.inInfo(0).str());
  return axis < 0 ? axis + rank : axis;
}

/// A scale or zero point of blocks along the axis, repeated for each element.
Value blocked(Composer &g, Value v, int64_t axis, int64_t block) {
  if (!v || !g.ok())
    return v;
  SmallVector<Dim> dims = g.info(v).dims, whole = g.inInfo(0).dims;
  if (dims.size() != whole.size()) {
    (void)g.error(
        "with block_size, a scale must have the input's rank; found " +
        g.info(v).str());
    return {};
  }
  SmallVector<Dim> wide = dims, flat = dims;
  wide.insert(wide.begin() + axis + 1, g.dims.constant(block));
  flat[axis] = mulDims(g.dims, dims[axis], g.dims.constant(block));
  v = g.reshape(g.expand(g.unsqueeze(v, {axis + 1}), wide), flat);
  return flat[axis] == whole[axis]
             ? v
             : g.slice(v, axis, g.dims.constant(0), whole[axis]);
}

/// The parameter `i` of an input as it is applied to each element.
Value parameter(Composer &g, unsigned i, int64_t axis) {
  if (int64_t block = g.intAttr("block_size", 0); block > 0)
    return blocked(g, g.in(i), axis, block);
  return along(g, g.in(i), axis, g.inInfo(0).rank());
}

LogicalResult requireScale(Composer &g, unsigned i) {
  if (isFloat(g.inInfo(i).elementType))
    return success();
  return g.error("input " + Twine(i) + " must be a float scale; found " +
                 g.inInfo(i).str());
}

/// round(x / scale) + zero point, within the type; ties to even.
Value quantize(Composer &g, Value x, Value scale, Value zero, Type type) {
  Value v = g.node("Round", {scale ? g.div(x, scale) : x});
  if (zero)
    v = g.add(v, g.cast(zero, f32(g)));
  return g.cast(v, type); // which saturates
}

LogicalResult quantizeLinear(Composer &g) {
  FailureOr<int64_t> axis = quantizedAxis(g);
  if (failed(axis) || failed(requireScale(g, 1)))
    return failure();
  Type type = IntegerType::get(g.op.getContext(), 8, IntegerType::Unsigned);
  if (int64_t to = g.intAttr("output_dtype", 0))
    type = typeOfEnum(g.op.getContext(), to);
  if (g.hasInput(2))
    type = g.inInfo(2).elementType;
  if (!type || !isInt(type))
    return g.unsupported("quantization to ONNX data type " +
                         Twine(g.intAttr("output_dtype", 0)));
  Value scale = parameter(g, 1, *axis), zero = parameter(g, 2, *axis);
  if (!scale)
    return failure();
  g.give(0, quantize(g, g.cast(g.in(0), f32(g)), g.cast(scale, f32(g)), zero,
                     type));
  return success();
}

LogicalResult dequantizeLinear(Composer &g) {
  FailureOr<int64_t> axis = quantizedAxis(g);
  if (failed(axis) || failed(requireScale(g, 1)))
    return failure();
  if (!isInt(g.inInfo(0).elementType))
    return g.error("the input must be an integer tensor; found " +
                   g.inInfo(0).str());
  Value scale = parameter(g, 1, *axis), zero = parameter(g, 2, *axis);
  if (!scale)
    return failure();
  Value x = g.cast(g.in(0), i32(g));
  if (zero)
    x = g.sub(x, g.cast(zero, i32(g)));
  Type out = g.type(scale);
  if (int64_t to = g.intAttr("output_dtype", 0))
    out = typeOfEnum(g.op.getContext(), to);
  if (!out || !isFloat(out))
    return g.error("output_dtype must be a float type");
  Value y = g.mul(g.cast(x, f32(g)), g.cast(scale, f32(g)));
  g.give(0, g.cast(y, out));
  return success();
}

LogicalResult dynamicQuantizeLinear(Composer &g) {
  if (!g.inInfo(0).elementType.isF32())
    return g.error("the input must be a float tensor; found " +
                   g.inInfo(0).str());
  Type u8 = IntegerType::get(g.op.getContext(), 8, IntegerType::Unsigned);
  Value x = g.in(0), none = g.number(0, f32(g));
  auto all = [&](StringRef reduction) {
    return g.node(reduction, {x}, {g.attr("keepdims", int64_t(0))});
  };
  Value most = g.node("Max", {all("ReduceMax"), none});
  Value least = g.node("Min", {all("ReduceMin"), none});
  Value scale = g.div(g.sub(most, least), g.number(255, f32(g)));
  Value zero = quantize(g, g.sub(none, least), scale, {}, u8);
  g.give(0, quantize(g, x, scale, zero, u8));
  g.give(1, scale);
  g.give(2, zero);
  return success();
}

/// x - zero point, in int32.
Value centered(Composer &g, Value x, Value zero) {
  x = g.cast(x, i32(g));
  return zero ? g.sub(x, g.cast(zero, i32(g))) : x;
}

/// A vector for the rows of a matrix; a scalar or a tensor of that form stays.
Value forRows(Composer &g, Value v) {
  if (!v || !g.ok() || g.rank(v) != 1)
    return v;
  return isScalar(g.info(v)) ? g.reshape(v, {}) : g.unsqueeze(v, {1});
}
/// A vector for the columns of a matrix.
Value forColumns(Composer &g, Value v) {
  if (!v || !g.ok() || g.rank(v) != 1)
    return v;
  return isScalar(g.info(v)) ? g.reshape(v, {}) : v;
}

LogicalResult matMulInteger(Composer &g) {
  if (failed(requireSmallInt(g, {0, 1, 2, 3})))
    return failure();
  Value a = centered(g, g.in(0), forRows(g, g.in(2)));
  Value b = centered(g, g.in(1), forColumns(g, g.in(3)));
  g.give(0, g.node("MatMul", {a, b}));
  return success();
}

/// The int32 result of a product, scaled by (a scale) (b scale) / (y scale).
Value requantize(Composer &g, Value v, Value a, Value b, Value y, Value zero) {
  if (!zero)
    return {};
  Type type = g.type(zero);
  Value scale =
      g.div(g.mul(g.cast(a, f32(g)), g.cast(b, f32(g))), g.cast(y, f32(g)));
  return quantize(g, g.mul(g.cast(v, f32(g)), scale), {}, zero, type);
}

LogicalResult qlinearMatMul(Composer &g) {
  if (failed(requireSmallInt(g, {0, 2, 3, 5, 7})) ||
      failed(requireScale(g, 1)) || failed(requireScale(g, 4)) ||
      failed(requireScale(g, 6)))
    return failure();
  Value a = centered(g, g.in(0), forRows(g, g.in(2)));
  Value b = centered(g, g.in(3), forColumns(g, g.in(5)));
  g.give(0, requantize(g, g.node("MatMul", {a, b}), forRows(g, g.in(1)),
                       forColumns(g, g.in(4)), forRows(g, g.in(6)),
                       forRows(g, g.in(7))));
  return success();
}

SmallVector<NamedAttribute> convAttrs(Composer &g) {
  SmallVector<NamedAttribute> attrs;
  for (StringRef name :
       {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"})
    g.copyAttr(name, attrs);
  return attrs;
}

LogicalResult convInteger(Composer &g) {
  if (failed(requireSmallInt(g, {0, 1, 2, 3})) || g.inInfo(1).rank() < 3)
    return g.error("the inputs must be uint8 or int8, the kernel of rank 3 or "
                   "more");
  Value x = centered(g, g.in(0), along(g, g.in(2), 1, g.inInfo(0).rank()));
  Value k = centered(g, g.in(1), along(g, g.in(3), 0, g.inInfo(1).rank()));
  g.give(0, g.node("Conv", {x, k}, convAttrs(g)));
  return success();
}

LogicalResult qlinearConv(Composer &g) {
  if (failed(requireSmallInt(g, {0, 2, 3, 5, 7})) || g.inInfo(3).rank() < 3 ||
      failed(requireScale(g, 1)) || failed(requireScale(g, 4)) ||
      failed(requireScale(g, 6)))
    return g.error("the inputs must be uint8 or int8 with float scales, the "
                   "kernel of rank 3 or more");
  int64_t rank = g.inInfo(3).rank();
  Value x = centered(g, g.in(0), along(g, g.in(2), 1, g.inInfo(0).rank()));
  Value k = centered(g, g.in(3), along(g, g.in(5), 0, rank));
  Value v = g.node("Conv", {x, k, g.in(8)}, convAttrs(g));
  g.give(0, requantize(g, v, along(g, g.in(1), 1, rank),
                       along(g, g.in(4), 1, rank), along(g, g.in(6), 1, rank),
                       along(g, g.in(7), 1, rank)));
  return success();
}

} // namespace

void addQuantizationOps(std::vector<OpEntry> &t) {
  t.push_back(composed<quantizeLinear>("QuantizeLinear", 2, 3, 10));
  t.push_back(composed<dequantizeLinear>("DequantizeLinear", 2, 3, 10));
  t.push_back(
      composed<dynamicQuantizeLinear>("DynamicQuantizeLinear", 1, 1, 11));
  t.push_back(composed<matMulInteger>("MatMulInteger", 2, 4, 10));
  t.push_back(composed<qlinearMatMul>("QLinearMatMul", 8, 8, 10));
  t.push_back(composed<convInteger>("ConvInteger", 2, 4, 10));
  t.push_back(composed<qlinearConv>("QLinearConv", 8, 9, 10));
}

} // namespace lnn::onnx
