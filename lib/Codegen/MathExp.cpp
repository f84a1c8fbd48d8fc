//===- MathExp.cpp - exp and what is made of it ---------------------------===//
//
// n = round(y / ln 2) comes from adding 1.5 * 2^23 (2^52 in f64), which leaves
// it in the low bits; r = y - n ln 2 in two steps, the first exact; e^r = 1 +
// tail with tail = r + r^2 q(r), q of degree 4 (f32) or 10 (f64). The 1 is
// added last, to whatever else there is to add, so that its rounding happens
// once.
//
//===----------------------------------------------------------------------===//
#include "MathFunctions.h"

#include <cmath>
#include <limits>

namespace lnn {

ExpParts expParts(Num y, int64_t bias, const Num *extra) {
  bool wide = isDouble(y);
  double shift = wide ? 6755399441055744.0 : 12582912.0;
  shift += bias;
  Num shifted = fma(y, wide ? 1.4426950408889634 : 1.44269502, shift);
  Num n = shifted - shift;
  Num r = fma(n, wide ? -6.93147180369123816490e-01 : -0.693145752, y);
  r = fma(n, wide ? -1.90821492927058770002e-10 : -1.42860677e-06, r);
  if (extra)
    r = r + *extra;
  static constexpr double narrowTail[] = {
      0.00138608541, 0.00836655404, 0.0416675434, 0.166665435, 0.49999997};
  static constexpr double wideTail[] = {2.0897552969312486e-09,
                                        2.5109149362654607e-08,
                                        2.755732612127158e-07,
                                        2.7557243860261541e-06,
                                        2.4801587269431969e-05,
                                        0.00019841269886511137,
                                        0.001388888888890785,
                                        0.0083333333333214556,
                                        0.041666666666666637,
                                        0.16666666666666677,
                                        0.5};
  Num q = wide ? polynomial(r, wideTail) : polynomial(r, narrowTail);
  return {shifted, n, fma(r * r, q, r)};
}

/// 2^k of the low bits k + bias of `shifted`.
static Num powerOf2(Num shifted) {
  return fromBits(bits(shifted) << (isDouble(shifted) ? 52 : 23), shifted);
}

Num scaleUp(const ExpParts &parts) {
  // In two factors, so that neither overflows and a denormal result is rounded
  // once.
  bool wide = isDouble(parts.n);
  int64_t bias = wide ? 1023 : 127, width = wide ? 52 : 23;
  Int n = bits(parts.shifted) - (wide ? 0x4338000000000000 : 0x4b400000);
  Int half = n >> 1;
  Num first = fromBits((half + bias) << width, parts.n);
  Num second = fromBits((n - half + bias) << width, parts.n);
  return fma(parts.tail, first, first) * second;
}

// f32: 1.1 ulp, f64: 1.1 ulp; denormal results rounded correctly from there.
Num exp(Num x) {
  bool wide = isDouble(x);
  Num y = atLeast(atMost(x, wide ? 710 : 89), wide ? -746 : -104);
  return scaleUp(expParts(y, 0));
}

// f32: 1.8 ulp, f64: 1.8 ulp.
Num expm1(Num x) {
  bool wide = isDouble(x);
  // From -ln 2^26 (2^55) down the result is -1; from ln 2^127 up exp does it,
  // the 1 being lost.
  Num y = atLeast(atMost(x, wide ? 709 : 88), wide ? -40 : -20);
  ExpParts parts = expParts(y, wide ? 1023 : 127);
  Num scale = powerOf2(parts.shifted);
  Num result = fma(scale, parts.tail, scale - 1.0);
  result = select(x > (wide ? 709.0 : 88.0), exp(x), result);
  return select(x == 0.0, x, result);
}

/// 1 + e^y and, in `parts`, what it is made of; y within the range of normal
/// results.
static Num onePlusExp(Num y, ExpParts &parts) {
  parts = expParts(y, isDouble(y) ? 1023 : 127);
  Num scale = powerOf2(parts.shifted);
  // What is lost of the 1 where the other is large is added with the tail.
  Num sum = scale + 1.0, lost = 1.0 - (sum - scale);
  return sum + fma(scale, parts.tail, lost);
}

/// numerator / (1 + e^-x). f32: 1.8 ulp, f64: 1.8 ulp; 0 where 1 / (1 + e^-x)
/// is below 2^-127.5 (f64: 2^-1023.5).
static Num divideByOnePlusExp(Num numerator, Num x) {
  bool wide = isDouble(x);
  double low = wide ? -709.43 : -88.37;
  ExpParts parts;
  Num denominator = onePlusExp(-atMost(x, wide ? 709 : 88), parts);
  return select(x < low, 0.0, numerator / denominator);
}

Num sigmoid(Num x) { return divideByOnePlusExp(num(x, 1.0), x); }

/// 1 + 2^x for x up to 128. n = x rounded to even, 2^(x - n) by a polynomial
/// that is exactly 1 at 0. From x = 127.5 on it is infinite.
///
/// AVX-512 takes the remainder and makes 2^n in one instruction each, which
/// need no clamps: the same bits.
static Num onePlusPowerOf2(Num x, double most) {
  static constexpr double power[] = {0.0013168196, 0.00966824, 0.055511426,
                                     0.24022315,   0.6931466,  1.0};
  if (isDouble(x))
    return exp2(atLeast(atMost(x, most), -1074)) + 1.0;
  if (hasRemainder(x)) {
    // Where nothing overflows, the product with 2^n is exact; the addition then
    // leaves the units of multiply-adds free.
    bool exact = most < 128;
    Num y = exact ? atMost(x, most) : x;
    Num r = remainder(y), result = polynomial(r, power);
    return exact ? scaleBy(result, y - r) + 1.0
                 : fma(result, scaleBy(num(x, 1.0), y - r), 1.0);
  }
  Num y = atLeast(atMost(x, most), -126);
  Num shifted = y + 12582912.0; // rounds to even; n in the low bits
  Int scale = (bits(shifted) << 23) + (127 << 23);
  Num r = y - (shifted - 12582912.0);
  return fma(polynomial(r, power), fromBits(scale, x), 1.0);
}

// 1 / (1 + 2^x). f32: absolute error 9.4e-8.
Num gate(Num x) { return 1.0 / onePlusPowerOf2(x, isDouble(x) ? 1024 : 128); }

Num gateDenominator(Num x) { return onePlusPowerOf2(x, 62); }

Num silu(Num x) {
  // -inf times 0 is 0 here: the limit.
  return divideByOnePlusExp(x, x);
}

// f32: 1.2 ulp, f64: 2.5 ulp.
Num tanh(Num x) {
  Num a = abs(x);
  ExpParts parts;
  if (isDouble(x)) {
    // (e^2a - 1) / (e^2a + 1), both from one tail: exact where a is small.
    // Where they are nearly equal, 1 - 2 / (e^2a + 1).
    Num sum = onePlusExp(atMost(a, 20) * 2.0, parts);
    Num scale = powerOf2(parts.shifted);
    Num small = fma(scale, parts.tail, scale - 1.0) / sum;
    return copySign(select(a < num(a, 0.625), small, 1.0 - 2.0 / sum), x);
  }
  // 1 - 2 / (e^2a + 1), and a polynomial where that cancels. What e^2a loses of
  // the 1 does not count here.
  parts = expParts(atMost(a, 10) * 2.0, 127);
  Num scale = powerOf2(parts.shifted);
  Num large = 1.0 - 2.0 / fma(scale, parts.tail, scale + 1.0);
  Num z = x * x;
  static constexpr double tail[] = {-0.00560224429, 0.020550089, -0.0537135489,
                                    0.13331145, -0.333332717};
  Num small = fma(polynomial(z, tail) * z, x, x);
  return copySign(select(a < num(a, 0.625), small, large), x);
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|). f32: 1.9 ulp, f64: 2 ulp.
Num softplus(Num x) {
  Num u = exp(-abs(x));
  if (isDouble(x))
    return atLeast(x, 0) + log1p(u);
  static constexpr double tail[] = {
      0.00207942678, -0.0136664631, 0.0420622267, -0.0831785128, 0.124753699,
      -0.161334276,  0.198991925,   -0.249888077, 0.333327115,   -0.499999881};
  return atLeast(x, 0) + fma(u * u, polynomial(u, tail), u);
}

// f64: 1.1 ulp.
Num exp2(Num x) {
  Num y = atLeast(atMost(x, 1025), -1076);
  double shift = 6755399441055744.0;
  Num shifted = y + shift;
  Num n = shifted - shift;
  ExpParts parts = expParts((y - n) * 0.69314718055994531, 0);
  parts.shifted = shifted;
  parts.n = n;
  return scaleUp(parts);
}

// f64: 3 ulp.
Num sinh(Num x) {
  Num a = abs(x);
  Num e = expm1(atMost(a, 700));
  Num small = (e + e / (e + 1.0)) * 0.5;
  Num half = exp(a * 0.5);
  return copySign(select(a > 700.0, half * 0.5 * half, small), x);
}

// f64: 3 ulp.
Num cosh(Num x) {
  Num a = abs(x);
  Num e = exp(atMost(a, 700));
  Num half = exp(a * 0.5);
  return select(a > 700.0, half * 0.5 * half, e * 0.5 + 0.5 / e);
}

// f32: 1.5 ulp, f64: 1.5 ulp.
Num rsqrt(Num x) { return 1.0 / sqrt(x); }

} // namespace lnn
