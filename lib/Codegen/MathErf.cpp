//===- MathErf.cpp - the error function and the normal distribution -------===//
#include "MathFunctions.h"

#include <cmath>

namespace lnn {

static Num erfSmall(Num x) {
  static constexpr double narrow[] = {
      8.21925278e-05, -0.000810695055, 0.00519788172, -0.0268581249,
      0.112836719,    -0.376126319,    0.128379166};
  static constexpr double wide[] = {
      6.7596929632716547e-11,  -1.1874772595842461e-09, 1.4797911408829094e-08,
      -1.6372308144954055e-07, 1.646324156210731e-06,   -1.4925747841175007e-05,
      0.0001205533814822717,   -0.00085483271990284538, 0.0052239776292406165,
      -0.026866170645631481,   0.11283791670958782,     -0.37612638903183876,
      0.12837916709551259};
  Num z = x * x;
  return fma(isDouble(x) ? polynomial(z, wide) : polynomial(z, narrow), x, x);
}

/// e^(x^2) erfc(x) (1 + 2x), f64, x not negative: a polynomial of degree 21 in
/// (x - 3.75) / (x + 3.75) (Shepherd and Laframboise 1981).
static Num scaledErfc(Num x) {
  static constexpr double coefficients[] = {
      4.8768016348626097e-09,  2.8956469519501075e-08,  -1.9190491948842499e-09,
      -2.5397063680025737e-07, -2.4309572971507744e-08, 1.7558731577534768e-06,
      -9.9790192472754159e-07, -1.1450872486488512e-05, 2.2395334623972847e-05,
      5.1652993734550959e-05,  -0.0002901572838550659,  0.00029371244046345451,
      0.0017556264331202132,   -0.009746579336700938,   0.028362277356141607,
      -0.058693398611824724,   0.092304321164003097,    -0.1088039301406428,
      0.082276738490061979,    0.0035854154854424751,   -0.14024059858554691,
      1.2375126308378277};
  return polynomial((x - 3.75) / (x + 3.75), coefficients);
}

/// e^-(x^2 / scale), where squaring must not lose bits: they would be
/// multiplied by x^2.
static Num expOfSquare(Num x, double scale) {
  Num square = x * x;
  Num extra = fma(x, x, -square) * (-1.0 / scale);
  Num y = square * (-1.0 / scale);
  extra = select(y < -745.0, 0.0, extra);
  return scaleUp(expParts(atLeast(y, -746), 0, &extra));
}

// f64: 3.5 ulp.
Num erfc(Num x) {
  Num a = abs(x);
  Num h = atMost(a, 30);
  Num tail = expOfSquare(h, 1) * scaledErfc(h) / fma(h, 2.0, 1.0);
  Num result = select(x < 0.0, 2.0 - tail, tail);
  return select(a < num(a, 0.5), 1.0 - erfSmall(x), result);
}

// f32: 1.2 ulp, f64: 2 ulp.
Num erf(Num x) {
  Num a = abs(x);
  if (isDouble(x)) {
    Num h = atMost(a, 30);
    Num large = 1.0 - expOfSquare(h, 1) * scaledErfc(h) / fma(h, 2.0, 1.0);
    return select(a < num(a, 1.0), erfSmall(x), copySign(large, x));
  }
  static constexpr double logErfc[] = {
      -5.29464478e-06, 4.99145244e-05, 2.75543734e-05, -0.00286941673,
      0.0225760434,    -0.105169855,   -0.635672987,   -1.12854147};
  Num h = atMost(a, 4);
  Num large = 1.0 - exp(polynomial(h, logErfc) * h);
  return select(a < num(a, 0.921875), erfSmall(x), copySign(large, x));
}

/// x Phi(x), f64: 6 ulp, and 6 bits fewer where it is denormal. Phi(-x) =
/// erfc(x / sqrt 2) / 2, which keeps its relative accuracy in the tail.
Num gelu(Num x) {
  Num a = atMost(abs(x), 42);
  Num h = a * 0.70710678118654752;
  Num tail = expOfSquare(a, 2) * scaledErfc(h) / fma(h, 4.0, 2.0);
  Num result = x * select(x < 0.0, tail, 1.0 - tail);
  return select(x < -42.0, num(x, -0.0), result);
}

} // namespace lnn
