//===- MathFast.cpp - functions to within 1e-4 ----------------------------===//
//
// The f32 versions of --math=fast: polynomials of degree 3, no care for what
// rounding loses. Relative errors, of results that are normal numbers; results
// from 2^127.5 up are infinite, and from 2^-126.5 down zero.
//
//===----------------------------------------------------------------------===//
#include "MathFunctions.h"

namespace lnn {

/// 2^y, to within 7.6e-5. n = y rounded to even, and a polynomial.
static Num fastPower(Num y, double most) {
  static constexpr double power[] = {0.0551716707, 0.24261114, 0.693260987,
                                     0.999928072};
  if (hasRemainder(y)) {
    Num x = atMost(y, most);
    Num r = remainder(x);
    return polynomial(r, power) * scaleBy(num(x, 1.0), x - r);
  }
  Num x = atLeast(atMost(y, most), -127);
  Num shifted = x + 12582912.0;
  Num scale = fromBits((bits(shifted) << 23) + (127 << 23), y);
  return polynomial(x - (shifted - 12582912.0), power) * scale;
}

constexpr double log2e = 1.44269504;

// 9e-5
Num fastExp(Num x) {
  Num y = x * log2e;
  return select(y < -126.5, 0.0, fastPower(y, 128));
}
// 9e-5
Num fastSigmoid(Num x) { return 1.0 / (fastPower(x * -log2e, 128) + 1.0); }
// 9e-5; -inf times 0 is 0 here: the limit.
Num fastSilu(Num x) {
  Num result = x / (fastPower(x * -log2e, 128) + 1.0);
  return select(x < -88.0, 0.0, result);
}
// 8e-5
Num fastGate(Num x) { return 1.0 / (fastPower(x, 128) + 1.0); }
Num fastGateDenominator(Num x) { return fastPower(x, 62) + 1.0; }

// 5e-5: (e^2a - 1) / (e^2a + 1), from one tail.
Num fastTanh(Num x) {
  static constexpr double curve[] = {0.0416100141, 0.167496289, 0.500016528};
  Num y = atMost(abs(x), 10) * 2.0;
  Num shifted = fma(y, log2e, 12582912.0 + 127);
  Num n = shifted - (12582912.0 + 127);
  Num r = fma(n, -0.693147181, y);
  Num tail = fma(r * r, polynomial(r, curve), r);
  Num scale = fromBits(bits(shifted) << 23, x);
  Num less = fma(scale, tail, scale - 1.0);
  return copySign(less / (less + 2.0), x);
}

} // namespace lnn
