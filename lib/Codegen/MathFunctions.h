//===- MathFunctions.h - elementary functions as expressions --------------===//
//
// Those of the first group take f32 and f64, the others f64 alone (f32 is
// computed in f64 and rounded). Largest errors, in units of the last place, are
// stated where the functions are defined; test/python/test_math.py measures
// them, scripts/sweep_math.py on every f32.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_CODEGEN_MATHFUNCTIONS_H
#define LNN_LIB_CODEGEN_MATHFUNCTIONS_H

#include "MathBuilder.h"

namespace lnn {

Num exp(Num x);
Num expm1(Num x);
Num log(Num x);
Num log1p(Num x);
Num tanh(Num x);
Num sigmoid(Num x);
Num gate(Num x);
Num gateDenominator(Num x);
Num softplus(Num x);
Num silu(Num x);
Num erf(Num x);
Num rsqrt(Num x);

Num erfc(Num x);
Num gelu(Num x);
Num exp2(Num x);
Num log2(Num x);
Num log10(Num x);
Num sin(Num x);
Num cos(Num x);
Num tan(Num x);
Num asin(Num x);
Num acos(Num x);
Num atan(Num x);
Num atan2(Num y, Num x);
Num sinh(Num x);
Num cosh(Num x);
Num asinh(Num x);
Num acosh(Num x);
Num atanh(Num x);
Num cbrt(Num x);
Num pow(Num x, Num y);

// f32, to within 1e-4; see MathFast.cpp.
Num fastExp(Num x);
Num fastSigmoid(Num x);
Num fastSilu(Num x);
Num fastGate(Num x);
Num fastGateDenominator(Num x);
Num fastTanh(Num x);

/// e^y = 2^n (1 + tail), n = round(y / ln 2). `shifted` holds n + bias in its
/// low bits, `n` holds it as a float.
struct ExpParts {
  Num shifted, n, tail;
};
/// `extra` is a small term added to y with more precision than y has.
ExpParts expParts(Num y, int64_t bias, const Num *extra = nullptr);
/// 2^n (1 + tail) for -1100 < n < 1100, one rounding, from parts without bias.
Num scaleUp(const ExpParts &parts);

/// Whether the target has the two that follow for vectors like x.
bool hasRemainder(Num x);
/// x - round(x), exact; 0 for infinities.
Num remainder(Num x);
/// factor * 2^x for whole x, 0 and infinity where out of range.
Num scaleBy(Num factor, Num x);

/// x = 2^e m, m in [sqrt(1/2), sqrt(2)), for positive x, denormals included.
struct LogParts {
  Num e, m;
};
LogParts logParts(Num x);

} // namespace lnn
#endif // LNN_LIB_CODEGEN_MATHFUNCTIONS_H
