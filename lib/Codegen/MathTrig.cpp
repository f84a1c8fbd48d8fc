//===- MathTrig.cpp - circular functions and their inverses, f64 ----------===//
//
// n = round(x / (pi/2)) and r = x - n pi/2, pi/2 in three parts, which keeps
// r's relative accuracy for |x| up to 2^30; f32 arguments up to 2^50 are
// reduced accurately through f64. Beyond, values stay within [-1, 1] but lose
// their phase.
//
//===----------------------------------------------------------------------===//
#include "MathFunctions.h"

#include <cmath>
#include <limits>

namespace lnn {

static constexpr double halfPi = 1.5707963267948966,
                        halfPiTail = 6.123233995736766e-17;

namespace {
struct Circle {
  Num sine, cosine; ///< of r
  Int quadrant;     ///< n, of which the low two bits count
};
} // namespace

static Circle reduceToCircle(Num x) {
  constexpr double shift = 6755399441055744.0;
  Num shifted = fma(x, 0.63661977236758138, shift);
  Num n = shifted - shift;
  Num r0 = fma(n, -halfPi, x);
  Num r = fma(n, -halfPiTail, r0);
  Num low = fma(n, -halfPiTail, r0 - r);
  low = fma(n, 1.4973849048591833e-33, low);
  Num z = r * r;
  static constexpr double sineTail[] = {
      1.5896888142943323e-10,  -2.5050759938051637e-08, 2.7557313705497204e-06,
      -0.00019841269829854865, 0.0083333333333224877,   -0.16666666666666632};
  static constexpr double cosineTail[] = {
      -1.1359932763865084e-11, 2.0875729286235223e-09, -2.7557314401285504e-07,
      2.4801587289672933e-05,  -0.0013888888888874476, 0.041666666666666602};
  Num sine = r + fma(polynomial(z, sineTail) * z, r, low);
  Num cosine = 1.0 - fma(z, 0.5, r * low) + polynomial(z, cosineTail) * (z * z);
  return {sine, cosine, bits(shifted)};
}

static Num fromQuadrant(const Circle &c, Int quadrant) {
  Num value = select((quadrant & 1) != 0, c.cosine, c.sine);
  return select((quadrant & 2) != 0, -value, value);
}

// f64: 1.5 ulp.
Num sin(Num x) {
  Circle c = reduceToCircle(x);
  return select(x == 0.0, x, fromQuadrant(c, c.quadrant));
}

// f64: 1.5 ulp.
Num cos(Num x) {
  Circle c = reduceToCircle(x);
  return fromQuadrant(c, c.quadrant + 1);
}

// f64: 3 ulp.
Num tan(Num x) {
  Circle c = reduceToCircle(x);
  Num result = fromQuadrant(c, c.quadrant) / fromQuadrant(c, c.quadrant + 1);
  return select(x == 0.0, x, result);
}

// f64: 2 ulp.
Num atan(Num x) {
  // tan(3 pi/8) and tan(pi/8) divide the axis; beyond them, the angle to pi/2
  // or pi/4.
  Num a = abs(x);
  Bool large = a > 2.4142135623730950, middle = a > 0.41421356237309503;
  Num numerator = select(large, -1.0, select(middle, a - 1.0, a));
  Num denominator = select(large, a, select(middle, a + 1.0, num(a, 1.0)));
  Num t = numerator / denominator, z = t * t;
  static constexpr double tail[] = {
      -0.017910429716596114, 0.038067749112689328,  -0.050394399845939138,
      0.058479214744414476,  -0.066631087542100231, 0.076920606521695162,
      -0.090908977835222199, 0.11111110784396595,   -0.14285714280216089,
      0.19999999999953791,   -0.33333333333333198};
  Num base =
      select(large, halfPi, select(middle, num(a, halfPi / 2), num(a, 0.0)));
  Num low = select(large, halfPiTail,
                   select(middle, num(a, halfPiTail / 2), num(a, 0.0)));
  return copySign(base + (t + fma(polynomial(z, tail) * z, t, low)), x);
}

// f64: 4 ulp.
Num atan2(Num y, Num x) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Num ax = abs(x), ay = abs(y);
  Num ratio = ay / ax;
  ratio = select((ax == 0.0) & (ay == 0.0), 0.0, ratio);
  ratio = select((ax == infinity) & (ay == infinity), 1.0, ratio);
  Num angle = atan(ratio);
  Bool left = copySign(num(x, 1.0), x) < 0.0;
  Num result = copySign(select(left, 3.1415926535897931 - angle, angle), y);
  return select(isNaN(x) | isNaN(y), x + y, result);
}

/// asin of s = sqrt(z) in [0, 1/2].
static Num asinSmall(Num s, Num z) {
  static constexpr double tail[] = {
      0.031958177989856111,  -0.016292770512866234, 0.019572975334333938,
      0.0065112307097287001, 0.012173183444047761,  0.013884614349351624,
      0.01735976937830179,   0.022371753645041188,  0.030381959325937704,
      0.044642856823614845,  0.075000000003428852,  0.16666666666665383};
  return fma(polynomial(z, tail) * z, s, s);
}

// f64: 2.3 ulp.
Num asin(Num x) {
  Num a = abs(x);
  Bool large = a > 0.5;
  Num z = select(large, (1.0 - a) * 0.5, a * a);
  Num p = asinSmall(select(large, sqrt(z), a), z);
  return copySign(select(large, halfPi - (p * 2.0 - halfPiTail), p), x);
}

// f64: 2 ulp.
Num acos(Num x) {
  Num a = abs(x);
  Bool large = a > 0.5;
  Num z = select(large, (1.0 - a) * 0.5, a * a);
  Num p = asinSmall(select(large, sqrt(z), a), z);
  Num twice = p * 2.0;
  Num outer =
      select(x < 0.0, 3.1415926535897931 - (twice - 2 * halfPiTail), twice);
  Num inner = halfPi - (copySign(p, x) - halfPiTail);
  return select(large, outer, inner);
}

} // namespace lnn
