//===- MathLog.cpp - log, pow and what is made of them --------------------===//
//
// x = 2^e m with m in [sqrt(1/2), sqrt(2)), f = m - 1. f32: log m = f - f^2/2 +
// f^3 p(f), p of degree 8. f64: with s = f / (2 + f), log m = 2 atanh s = 2s +
// s z p(z), z = s^2, p of degree 6.
//
//===----------------------------------------------------------------------===//
#include "MathFunctions.h"

#include <cmath>
#include <limits>

namespace lnn {

static constexpr double infinity = std::numeric_limits<double>::infinity();
static constexpr double nan = std::numeric_limits<double>::quiet_NaN();
static constexpr double atanhTail[] = {0.14795776842912425, 0.1531407248046861,
                                       0.18183563251185833, 0.22222198599096044,
                                       0.28571428742067817, 0.39999999999416552,
                                       0.6666666666666734};

LogParts logParts(Num x) {
  bool wide = isDouble(x);
  int64_t width = wide ? 52 : 23, root = wide ? 0x3fe6a09e667f3bcd : 0x3f3504f3;
  // Denormals are scaled up first.
  double smallest = wide ? std::numeric_limits<double>::min()
                         : std::numeric_limits<float>::min();
  Bool tiny = x < smallest;
  Int i = bits(select(tiny, x * std::ldexp(1.0, width), x)) - root;
  Num e = toFloat(i >> width, x);
  e = select(tiny, e - double(width), e);
  Num m = fromBits((i & ((int64_t(1) << width) - 1)) + root, x);
  return {e, m};
}

static Num logFinite(Num x) {
  bool wide = isDouble(x);
  LogParts parts = logParts(x);
  Num f = parts.m - 1.0, z = f * f;
  if (!wide) {
    static constexpr double tail[] = {0.0674634874, -0.116681002, 0.118836597,
                                      -0.124065273, 0.142203882,  -0.166679785,
                                      0.200020701,  -0.250000089, 0.333333135};
    Num y = fma(polynomial(f, tail), f * z, parts.e * 1.42860677e-06);
    return fma(parts.e, 0.693145752, f + fma(z, -0.5, y));
  }
  Num s = f / (f + 2.0), w = s * s, half = z * 0.5;
  Num rest = fma(parts.e, 1.90821492927058770002e-10,
                 s * (half + w * polynomial(w, atanhTail)));
  return fma(parts.e, 6.93147180369123816490e-01, f - (half - rest));
}

/// log's values where x is not positive and finite.
static Num withSpecials(Num x, Num result) {
  result = select(x == infinity, x, result);
  result = select(x == 0.0, -infinity, result);
  return select((x < 0.0) | isNaN(x), nan, result);
}

// f32: 1 ulp, f64: 1 ulp; denormals are arguments like others.
Num log(Num x) { return withSpecials(x, logFinite(x)); }

// f64: 1.7 ulp, exact at powers of two.
Num log2(Num x) {
  LogParts parts = logParts(x);
  return withSpecials(x, fma(logFinite(parts.m), 1.4426950408889634, parts.e));
}

// f64: 2 ulp.
Num log10(Num x) { return log(x) * 0.43429448190325182; }

// log(w) + (what rounding 1 + x to w lost) / w. f32: 1.5 ulp, f64: 1.5 ulp.
Num log1p(Num x) {
  Num w = x + 1.0;
  Num lost = x - (w - 1.0);
  Num result = log(w) + select((w == infinity) | (w == 0.0), 0.0, lost / w);
  return select(w == 1.0, x, result);
}

// f64: 4 ulp, as the two that follow.
Num asinh(Num x) {
  Num a = abs(x);
  Num z = a * a;
  Num small = log1p(a + z / (sqrt(z + 1.0) + 1.0));
  return copySign(select(a > 1e150, log(a) + 0.69314718055994531, small), x);
}

Num acosh(Num x) {
  Num t = x - 1.0;
  Num result = select(x > 1e150, log(x) + 0.69314718055994531,
                      log1p(t + sqrt(t * (t + 2.0))));
  return select(x < 1.0, nan, result);
}

Num atanh(Num x) {
  Num a = abs(x);
  return copySign(log1p((a + a) / (1.0 - a)) * 0.5, x);
}

// One step of Newton's method from e^(log|x|/3): f64: 1 ulp. Denormals are
// scaled up first, so that the step sees all of their bits.
Num cbrt(Num x) {
  Bool tiny = abs(x) < num(x, 0x1p-900);
  Num a = abs(x) * select(tiny, num(x, 0x1p180), num(x, 1.0));
  Num y = exp(log(a) / 3.0);
  Num square = y * y;
  y = y - fma(square, y, -a) / (square * 3.0);
  y = y * select(tiny, num(x, 0x1p-60), num(x, 1.0));
  return copySign(select((a == 0.0) | (a == infinity), a, y), x);
}

/// log x for positive finite x as hi + lo, about 2^-60 relative.
static Num logWithTail(Num x, Num &lo) {
  LogParts parts = logParts(x);
  Num f = parts.m - 1.0, d = f + 2.0;
  Num s = f / d;
  Num lost = (fma(-s, d, f) - s * (f - (d - 2.0))) / d;
  Num z = s * s;
  Num tail = fma(z * polynomial(z, atanhTail), s, lost * 2.0);
  Num whole = parts.e * 6.93147180369123816490e-01, part = s + s;
  Num hi = whole + part;
  lo = (part - (hi - whole)) + fma(parts.e, 1.90821492927058770002e-10, tail);
  // lo is within a place of hi only now.
  Num sum = hi + lo;
  lo = lo - (sum - hi);
  return sum;
}

// f64: 16 ulp, from |y log x| times the log's error. IEEE 754's pow in every
// special case.
Num pow(Num x, Num y) {
  Num a = abs(x), lo = a;
  Num hi = logWithTail(a, lo);
  Num product = y * hi;
  Num extra = fma(y, hi, -product) + y * lo;
  Bool inRange = abs(product) < num(x, 745.0);
  extra = select(inRange, extra, 0.0);
  Num magnitude =
      scaleUp(expParts(atLeast(atMost(product, 710), -746), 0, &extra));
  Bool grows = y > 0.0;
  magnitude =
      select(a == 0.0, select(grows, num(x, 0.0), num(x, infinity)), magnitude);
  magnitude = select(a == infinity,
                     select(grows, num(x, infinity), num(x, 0.0)), magnitude);
  magnitude = select(a == 1.0, 1.0, magnitude);
  // A negative base: its sign goes with odd exponents, and only whole ones have
  // a result.
  Num half = y * 0.5;
  Bool whole = floor(y) == y, odd = whole & (floor(half) != half);
  Num negated = select(odd, -magnitude, magnitude);
  Bool impossible = (a != infinity) & (a != 0.0) & (floor(y) != y);
  negated = select(impossible, nan, negated);
  Num sign = copySign(num(x, 1.0), x);
  Num result = select(sign < 0.0, negated, magnitude);
  result = select(isNaN(x) | isNaN(y), x + y, result);
  return select((y == 0.0) | (x == 1.0), 1.0, result);
}

} // namespace lnn
