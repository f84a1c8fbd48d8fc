"""The elementary functions that lib/Codegen/Math*.cpp expands: references of more precision than
the results have, and the largest errors that are documented there, in units of the last place.
"""

import lnnc
import ml_dtypes
import numpy as np

HALF_ROUNDED = 0.501  # computed in a wider format, rounded once
EXTENDED = np.longdouble
HAS_EXTENDED = np.finfo(EXTENDED).nmant > 52
DTYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}


def exp_of_square(x):
    """e^-x^2, of an x whose square would lose bits."""
    high = np.ldexp(np.rint(np.ldexp(x, 20)), -20)
    return np.exp(-high * high) * np.exp(-(x - high) * (x + high))


def scaled_erfc(x):
    """e^(x^2) erfc(x) for x >= 2: its continued fraction, from far out."""
    tail = np.zeros_like(x)
    for k in range(200, 0, -1):
        tail = (k / x.dtype.type(2)) / (x + tail)
    return 1 / (x + tail) / np.sqrt(np.arctan(x.dtype.type(1)) * 4)


def erf_series(x):
    """erf(x) for |x| <= 2: a sum of terms of one sign."""
    term = x.copy()
    total = term.copy()
    for n in range(1, 80):
        term = term * 2 * x * x / (2 * n + 1)
        total += term
    return total * exp_of_square(x) * 2 / np.sqrt(np.arctan(x.dtype.type(1)) * 4)


def erfc(x):
    large = np.abs(x) > 2
    a = np.where(large, np.minimum(np.abs(x), 200), 2)
    tail = exp_of_square(a) * scaled_erfc(a)
    small = 1 - erf_series(np.where(large, 0, x))
    return np.where(large, np.where(x < 0, 2 - tail, tail), small)


def erf(x):
    large = np.abs(x) > 2
    return np.where(large, np.copysign(1 - erfc(np.abs(x)), x), erf_series(np.where(large, 0, x)))


def gelu(x):
    """x Phi(x); Phi(-a) = e^(-a^2/2) scaled_erfc(a / sqrt 2) / 2."""
    two = x.dtype.type(2)
    a = np.abs(x)
    far = a > 2 * np.sqrt(two)
    b = np.where(far, np.minimum(a, 200), 3)
    high = np.ldexp(np.rint(np.ldexp(b, 20)), -20)
    e = np.exp(-high * high / 2) * np.exp(-(b - high) * (b + high) / 2)
    tail = e * scaled_erfc(b / np.sqrt(two)) / 2
    near = erfc(np.where(far, 0, -x) / np.sqrt(two)) / 2
    phi = np.where(far, np.where(x < 0, tail, 1 - tail), near)
    return np.where(x == -np.inf, -0.0, x * phi)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return np.where(x == -np.inf, -0.0, x * sigmoid(x))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# name: (reference, bound in f32, bound in f64); those of HALF_ROUNDED are computed in f64.
UNARY = {
    "lnn.sigmoid": (sigmoid, 1.8, 1.8),
    "lnn.softplus": (softplus, 1.9, 2),
    "lnn.silu": (silu, 1.8, 1.8),
    "lnn.gelu": (gelu, HALF_ROUNDED, 6),
    "math.exp": (np.exp, 1.1, 1.1),
    "math.expm1": (np.expm1, 1.8, 1.8),
    "math.exp2": (np.exp2, HALF_ROUNDED, 1.1),
    "math.log": (np.log, 1, 1),
    "math.log1p": (np.log1p, 1.5, 1.5),
    "math.log2": (np.log2, HALF_ROUNDED, 1.7),
    "math.log10": (np.log10, HALF_ROUNDED, 2),
    "math.tanh": (np.tanh, 1.2, 2.5),
    "math.erf": (erf, 1.2, 2),
    "math.erfc": (erfc, HALF_ROUNDED, 3.5),
    "math.rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, 1.5),
    "math.sin": (np.sin, HALF_ROUNDED, 1.5),
    "math.cos": (np.cos, HALF_ROUNDED, 1.5),
    "math.tan": (np.tan, HALF_ROUNDED, 3),
    "math.asin": (np.arcsin, HALF_ROUNDED, 2.3),
    "math.acos": (np.arccos, HALF_ROUNDED, 2),
    "math.atan": (np.arctan, HALF_ROUNDED, 2),
    "math.sinh": (np.sinh, HALF_ROUNDED, 3),
    "math.cosh": (np.cosh, HALF_ROUNDED, 3),
    "math.asinh": (np.arcsinh, HALF_ROUNDED, 4),
    "math.acosh": (np.arccosh, HALF_ROUNDED, 4),
    "math.atanh": (np.arctanh, HALF_ROUNDED, 4),
    "math.cbrt": (np.cbrt, HALF_ROUNDED, 1),
}
BINARY = {
    "math.atan2": (np.arctan2, HALF_ROUNDED, 4),
    "math.powf": (np.power, HALF_ROUNDED, 16),
}
# Beyond, the phase is lost: f32 is reduced in f64.
PHASE = {"f16": np.inf, "bf16": 2.0**50, "f32": 2.0**50, "f64": 2.0**30}
CIRCULAR = ("math.sin", "math.cos", "math.tan")


def compile_functions(names, element, arguments=1, **options):
    """One model: `arguments` vectors in, one result for each function."""
    vector = f"tensor<?x{element}>"
    inputs = ", ".join(f'%{a}: {vector} {{lnn.dims = ["n"]}}' for a in "xy"[:arguments])
    used = ", ".join(f"%{a}" for a in "xy"[:arguments])
    body = "".join(f"  %{i} = {name} {used} : {vector}\n" for i, name in enumerate(names))
    results = ", ".join([f'{vector} {{lnn.dims = ["n"]}}'] * len(names))
    values = ", ".join(f"%{i}" for i in range(len(names)))
    types = ", ".join([vector] * len(names))
    return lnnc.compile(
        f"func.func @main({inputs}) -> ({results}) {{\n{body}  return {values} : {types}\n}}",
        **options,
    )


def evaluate(model, *arguments):
    """The results, in the order of the names that it was compiled of."""
    got = model.run({f"arg{i}": a for i, a in enumerate(arguments)})
    return list(got.values())


def reference(function, dtype, *arguments):
    """The function in a wider format: float64, and extended precision for float64."""
    wide = EXTENDED if dtype == np.float64 else np.float64
    with np.errstate(all="ignore"):
        return function(*(a.astype(wide) for a in arguments))


def errors(got, want):
    """|got - want| in units of the last place of `want`, in the format of `got`; infinite where one
    is NaN or infinite and the other is not, or where a zero has the wrong sign.
    """
    kind = got.dtype.type
    info = ml_dtypes.finfo(kind)
    with np.errstate(all="ignore"):
        rounded = want.astype(kind)
        lowest = int(np.log2(info.smallest_subnormal.astype(np.float64)))
        _, exponent = np.frexp(np.where(want == 0, want.dtype.type(info.smallest_subnormal), want))
        unit = np.ldexp(want.dtype.type(1), np.maximum(exponent - 1 - info.nmant, lowest))
        result = np.abs(got.astype(want.dtype) - want) / unit
        # What overflows has no last place: the largest number is half a place from infinity.
        overflow = np.isinf(rounded)
        near = np.abs(got.astype(want.dtype)) >= want.dtype.type(info.max)
        same = (got == rounded) | (near & np.isfinite(want) & (np.sign(got) == np.sign(rounded)))
        result = np.where(overflow, np.where(same, 0, np.inf), result)
        result = np.where(np.isnan(want), np.where(np.isnan(got), 0, np.inf), result)
        result = np.where(np.isnan(result), np.inf, result)
        zero = (got == 0) & (want == 0) & (np.signbit(got) != np.signbit(want))
    return np.where(zero, np.inf, result)
