//===- OpsSignal.cpp - Fourier transforms, windows, mel filters -----------===//
//
// A transform is a product with a constant table of cosines and sines; a
// short-time transform is a convolution with it.
//
//===----------------------------------------------------------------------===//
#include "OpCompose.h"

#include "llvm/Support/FormatVariadic.h"

#include <numbers>

using namespace mlir;

namespace lnn::onnx {
namespace {

constexpr int64_t kMaxTable = int64_t(1) << 24;

/// A constant matrix of f(row, column).
Value matrix(Composer &g, int64_t rows, int64_t columns, Type type,
             llvm::function_ref<double(int64_t, int64_t)> f) {
  auto shape = RankedTensorType::get({rows, columns}, type);
  if (type.isF64()) {
    std::vector<double> values(rows * columns);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        values[i * columns + j] = f(i, j);
    return g.constant(DenseElementsAttr::get(shape, ArrayRef<double>(values)));
  }
  std::vector<float> values(rows * columns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      values[i * columns + j] = f(i, j);
  return g.constant(DenseElementsAttr::get(shape, ArrayRef<float>(values)));
}

/// cos or sin of 2 pi i j / n, of an exact angle within one turn.
double turn(bool sine, int64_t i, int64_t j, int64_t n) {
  double angle = 2 * std::numbers::pi * ((i * j) % n) / n;
  return sine ? std::sin(angle) : std::cos(angle);
}

/// A known integer input; `otherwise` where it is omitted.
FailureOr<int64_t> known(Composer &g, unsigned i, StringRef what,
                         Dim otherwise) {
  Dim d = otherwise;
  if (g.hasInput(i)) {
    const ValueInfo &info = g.inInfo(i);
    d = info.data && info.data->size() == 1 ? (*info.data)[0] : Dim();
  }
  if (!d || !d.isConst())
    return g.unsupported(what + " must be constant");
  return d.value();
}

/// The real or the imaginary part of the last axis, which goes away; null for
/// the imaginary part of a real signal.
Value part(Composer &g, Value x, int64_t which) {
  if (!g.dim(x, -1).isConst() || g.dim(x, -1).value() <= which)
    return {};
  return g.node("Gather", {x, g.integer(which)}, {g.attr("axis", int64_t(-1))});
}

/// The last axis cut or filled with zeros to n elements.
Value fit(Composer &g, Value x, int64_t n) {
  if (!x || !g.ok())
    return x;
  Dim have = g.dim(x, -1), want = g.dims.constant(n);
  if (have == want)
    return x;
  SmallVector<Dim> pads(2 * g.rank(x), g.dims.constant(0));
  pads.back() = subDims(g.dims, want, have); // negative where it is cut
  return g.node("Pad", {x, g.sizes(pads)});
}

/// l - r and l + r where r may be missing.
Value minus(Composer &g, Value l, Value r) { return r ? g.sub(l, r) : l; }

struct Transform {
  int64_t n, bins; ///< elements, and frequencies
  bool inverse, onesided;
};

/// The last axes of re and im transformed: real and imaginary parts.
std::pair<Value, Value> transformed(Composer &g, Value re, Value im, Type type,
                                    const Transform &t) {
  // Back from half the frequencies: those left out are conjugates.
  bool half = t.inverse && t.onesided;
  int64_t rows = half ? t.n / 2 + 1 : t.n, columns = half ? t.n : t.bins;
  auto weight = [&](int64_t row) {
    double w = t.inverse ? 1.0 / t.n : 1;
    bool own = row == 0 || 2 * row == t.n;
    return half && !own ? 2 * w : w;
  };
  re = fit(g, re, rows);
  im = fit(g, im, rows);
  Value c = matrix(g, rows, columns, type, [&](int64_t i, int64_t j) {
    return weight(i) * turn(false, i, j, t.n);
  });
  Value s = matrix(g, rows, columns, type, [&](int64_t i, int64_t j) {
    return (t.inverse ? -1 : 1) * weight(i) * turn(true, i, j, t.n);
  });
  auto times = [&](Value x, Value m) {
    return x ? g.node("MatMul", {x, m}) : Value();
  };
  // (re + i im)(c - i s)
  Value ims = times(im, s), real = times(re, c);
  if (ims)
    real = g.add(real, ims);
  if (half)
    return {real, {}};
  Value res = times(re, s), imaginary = times(im, c);
  imaginary = imaginary ? minus(g, imaginary, res) : g.node("Neg", {res});
  return {real, imaginary};
}

LogicalResult requireSignal(Composer &g) {
  const ValueInfo &x = g.inInfo(0);
  if (!isFloat(x.elementType) || x.rank() < 2 ||
      !(x.dims.back().isConst(1) || x.dims.back().isConst(2)))
    return g.error("the signal must be a float tensor whose last dimension is "
                   "1 (real) or 2 (complex); found " +
                   x.str());
  return success();
}

LogicalResult dft(Composer &g) {
  if (failed(requireSignal(g)))
    return failure();
  int64_t rank = g.inInfo(0).rank();
  FailureOr<int64_t> given =
      g.opset() >= 20 ? known(g, 2, "the axis (input 2)", g.dims.constant(-2))
                      : FailureOr<int64_t>(g.intAttr("axis", 1));
  if (failed(given))
    return failure();
  int64_t axis = *given < 0 ? *given + rank : *given;
  if (axis < 0 || axis >= rank - 1)
    return g.error("axis " + Twine(*given) + " is no axis of the signal " +
                   g.inInfo(0).str());
  Transform t{0, 0, g.intAttr("inverse", 0) != 0,
              g.intAttr("onesided", 0) != 0};
  bool half = t.inverse && t.onesided;
  Dim size = g.inInfo(0).dims[axis], one = g.dims.constant(1);
  if (half)
    size = mulDims(g.dims, subDims(g.dims, size, one), g.dims.constant(2));
  FailureOr<int64_t> n = known(g, 1, "the transform's length", size);
  if (failed(n))
    return failure();
  t.n = *n;
  t.bins = t.onesided ? t.n / 2 + 1 : t.n;
  if (t.n < 1)
    return g.error("the transform's length is " + Twine(t.n));
  if (t.n > kMaxTable / t.n)
    return g.unsupported("a transform of " + Twine(t.n) + " elements");
  Type type = g.type(g.in(0)), compute = computeType(type);
  Value x = g.cast(g.in(0), compute);
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank - 1));
  std::swap(perm[axis], perm.back()); // its own inverse
  Value re = part(g, x, 0), im = part(g, x, 1);
  re = g.transpose(re, perm);
  im = im ? g.transpose(im, perm) : im;
  auto [real, imaginary] = transformed(g, re, im, compute, t);
  real = g.unsqueeze(g.transpose(real, perm), {-1});
  Value y = real;
  if (imaginary)
    y = g.concat({real, g.unsqueeze(g.transpose(imaginary, perm), {-1})}, -1);
  g.give(0, g.cast(y, type));
  return success();
}

/// One real convolution of a signal (batch, 1, length) with a table of windowed
/// cosines, then sines: (batch, 2 bins, frames).
LogicalResult stft(Composer &g) {
  if (failed(requireSignal(g)) || g.inInfo(0).rank() != 3)
    return g.error("the signal must be a float tensor of rank 3; found " +
                   g.inInfo(0).str());
  Dim length = g.inInfo(0).dims[1];
  if (g.hasInput(2))
    length = g.inInfo(2).rank() == 1 ? g.inInfo(2).dims[0] : Dim();
  FailureOr<int64_t> step = known(g, 1, "the frames' step", Dim());
  FailureOr<int64_t> n = known(g, 3, "the frames' length", length);
  if (failed(step) || failed(n))
    return failure();
  if (*step < 1 || *n < 1)
    return g.error("the frames' step and length must be positive; found " +
                   Twine(*step) + " and " + Twine(*n));
  bool complex = g.inInfo(0).dims[2].isConst(2);
  int64_t bins = g.intAttr("onesided", 1) != 0 ? *n / 2 + 1 : *n;
  if (complex && bins != *n)
    return g.error("a complex signal has no onesided transform");
  if (*n > kMaxTable / (2 * bins))
    return g.unsupported("frames of " + Twine(*n) + " elements");
  Type type = g.type(g.in(0)), compute = computeType(type);
  Value table = matrix(g, 2 * bins, *n, compute, [&](int64_t k, int64_t i) {
    return k < bins ? turn(false, k, i, *n) : -turn(true, k - bins, i, *n);
  });
  if (Value window = g.in(2))
    table = g.mul(table, g.cast(window, compute));
  table = g.unsqueeze(table, {1});
  Value x = g.cast(g.in(0), compute);
  Dim size = g.dims.constant(bins), two = g.dims.constant(2);
  auto frames = [&](int64_t which) -> Value {
    Value signal = part(g, x, which);
    if (!signal)
      return {};
    int64_t strides[] = {*step};
    Value y = g.node("Conv", {g.unsqueeze(signal, {1}), table},
                     {g.attr("strides", ArrayRef<int64_t>(strides))});
    if (!g.ok())
      return {};
    y = g.reshape(y, {g.dim(y, 0), two, size, g.dim(y, 2)});
    return g.transpose(y, {0, 3, 2, 1});
  };
  Value y = frames(0);
  if (Value im = frames(1); im && g.ok()) {
    // i (a + i b) = -b + i a
    Value a = g.unsqueeze(part(g, im, 0), {-1});
    Value b = g.node("Neg", {g.unsqueeze(part(g, im, 1), {-1})});
    y = g.add(y, g.concat({b, a}, -1));
  }
  g.give(0, g.cast(y, type));
  return success();
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

/// a - b cos(2 pi n / N) + c cos(4 pi n / N)
LogicalResult cosineWindow(Composer &g, double a, double b, double c) {
  const ValueInfo &size = g.inInfo(0);
  if (!isInt(size.elementType) || !size.data || size.data->size() != 1)
    return g.unsupported("the size must be known from constants and the sizes "
                         "of inputs");
  Type type = typeOfEnum(g.op.getContext(), g.intAttr("output_datatype", 1));
  if (!type || !(isFloat(type) || isInt(type)))
    return g.unsupported("output_datatype " +
                         Twine(g.intAttr("output_datatype", 1)));
  Type f64 = Float64Type::get(g.op.getContext());
  Dim n = (*size.data)[0], period = n;
  if (g.intAttr("periodic", 1) == 0)
    period = maxDims(g.dims, subDims(g.dims, n, g.dims.constant(1)),
                     g.dims.constant(1));
  auto scalarOf = [&](Dim d) { return g.node("Squeeze", {g.sizes({d})}); };
  Value i = g.node("Range", {g.integer(0), scalarOf(n), g.integer(1)});
  Value turns = g.div(g.cast(i, f64), g.cast(scalarOf(period), f64));
  auto cosine = [&](double times, double factor) {
    Value angle = g.mul(turns, g.number(times * std::numbers::pi, f64));
    return g.mul(g.node("Cos", {angle}), g.number(factor, f64));
  };
  Value w = g.sub(g.number(a, f64), cosine(2, b));
  if (c != 0)
    w = g.add(w, cosine(4, c));
  g.give(0, g.cast(w, type));
  return success();
}

LogicalResult hann(Composer &g) { return cosineWindow(g, 0.5, 0.5, 0); }
LogicalResult hamming(Composer &g) {
  return cosineWindow(g, 25.0 / 46, 21.0 / 46, 0);
}
LogicalResult blackman(Composer &g) { return cosineWindow(g, 0.42, 0.5, 0.08); }

//===----------------------------------------------------------------------===//
// Mel filters
//===----------------------------------------------------------------------===//

/// The one number that input i is, where it is constant.
std::optional<double> numberOf(Composer &g, unsigned i) {
  ElementsAttr value = g.inInfo(i).constant;
  if (!value || value.getNumElements() != 1)
    return std::nullopt;
  if (isa<FloatType>(value.getElementType()))
    return (*value.value_begin<APFloat>()).convertToDouble();
  std::optional<SmallVector<int64_t>> integer = integersOf(value);
  if (!integer)
    return std::nullopt;
  return double((*integer)[0]);
}

/// Triangles over the bins of a spectrum, their corners at equal steps of mel:
/// 2595 log10(1 + f / 700).
LogicalResult melWeights(Composer &g) {
  std::array<double, 5> in;
  for (unsigned i = 0; i < in.size(); ++i) {
    std::optional<double> number = numberOf(g, i);
    if (!number)
      return g.unsupported("input " + Twine(i) + " must be a constant number");
    in[i] = *number;
  }
  auto [bands, length, rate, lowest, highest] = in;
  // Written so that NaN is refused as well.
  if (!(bands >= 1 && length >= 1 && rate > 0 && lowest >= 0 &&
        highest >= lowest && highest < 1e9) ||
      bands > kMaxTable / (length + 1))
    return g.error(
        llvm::formatv("no filters: num_mel_bins {0}, dft_length {1}, "
                      "sample_rate {2}, edges {3} to {4} Hz",
                      bands, length, rate, lowest, highest)
            .str());
  Type type = typeOfEnum(g.op.getContext(), g.intAttr("output_datatype", 1));
  if (!type || !(isFloat(type) || isInt(type)))
    return g.unsupported("output_datatype " +
                         Twine(g.intAttr("output_datatype", 1)));
  auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  double first = mel(lowest), step = (mel(highest) - first) / (bands + 2);
  auto corner = [&](int64_t i) {
    double hertz = 700 * (std::pow(10, (first + i * step) / 2595) - 1);
    return int64_t((length + 1) * hertz / rate);
  };
  auto weight = [&](int64_t bin, int64_t band) -> double {
    int64_t left = corner(band), middle = corner(band + 1),
            right = corner(band + 2);
    if (bin >= middle && bin < right)
      return double(right - bin) / (right - middle);
    if (bin == middle)
      return 1;
    return bin >= left && bin < middle ? double(bin - left) / (middle - left)
                                       : 0;
  };
  Type f64 = Float64Type::get(g.op.getContext());
  g.give(0,
         g.cast(matrix(g, int64_t(length) / 2 + 1, bands, f64, weight), type));
  return success();
}

} // namespace

void addSignalOps(std::vector<OpEntry> &t) {
  t.push_back(composed<dft>("DFT", 1, 3, 17));
  t.push_back(composed<stft>("STFT", 2, 4, 17));
  t.push_back(composed<hann>("HannWindow", 1, 1, 17));
  t.push_back(composed<hamming>("HammingWindow", 1, 1, 17));
  t.push_back(composed<blackman>("BlackmanWindow", 1, 1, 17));
  t.push_back(composed<melWeights>("MelWeightMatrix", 5, 5, 17));
}

} // namespace lnn::onnx
