#!/usr/bin/env python3
"""Computes the polynomial coefficients of lib/Codegen/Math*.cpp (needs mpmath).

Each is a minimax fit by Lawson's iteration, weighted so that the relative error of the function is
what is minimized, then rounded to the format one coefficient at a time, lowest degree first, the
others refitted.
"""

import struct
import sys

import mpmath as mp

mp.mp.dps = 60


def to_f32(x):
    return mp.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def to_f64(x):
    return mp.mpf(float(x))


def chebyshev_points(lo, hi, n):
    mid, half = (lo + hi) / 2, (hi - lo) / 2
    return [mid - half * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]


def least_squares(target, weight, lo, hi, powers, samples=160, rounds=25):
    """Lawson's iteration: least squares on Chebyshev points, reweighted to a level error."""
    points = chebyshev_points(lo, hi, samples)
    values = [target(x) for x in points]
    weights = [weight(x) for x in points]
    rows = [[x**p for p in powers] for x in points]
    emphasis = [mp.mpf(1)] * samples
    best, best_size = None, None
    for _ in range(rounds):
        n = len(powers)
        normal, right = mp.zeros(n), mp.zeros(n, 1)
        for row, value, w, e in zip(rows, values, weights, emphasis):
            scale = w * w * e
            for i in range(n):
                right[i] += scale * row[i] * value
                for j in range(n):
                    normal[i, j] += scale * row[i] * row[j]
        found = list(mp.lu_solve(normal, right))
        errors = [
            abs(v - sum(c * m for c, m in zip(found, row))) * w
            for v, row, w in zip(values, rows, weights)
        ]
        size = max(errors)
        if best is None or size < best_size:
            best, best_size = found, size
        emphasis = [e * (error / size + mp.mpf("1e-6")) for e, error in zip(emphasis, errors)]
        total = sum(emphasis)
        emphasis = [e * samples / total for e in emphasis]
    return best


def fit(name, target, weight, lo, hi, degree, rounding):
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    fixed = []
    for i in range(degree + 1):
        rest = list(range(i, degree + 1))

        def residual(x):
            return target(x) - sum(a * x**p for p, a in enumerate(fixed))

        fixed.append(
            rounding(least_squares(residual, weight, lo, hi, rest, rounds=25 if i == 0 else 8)[0])
        )
    worst = max(
        abs((target(x) - sum(a * x**p for p, a in enumerate(fixed))) * weight(x))
        for x in chebyshev_points(lo, hi, 2000)
    )
    print(f"// {name}: relative error 2^{float(mp.log(worst, 2)):.1f}")
    digits = 9 if rounding is to_f32 else 17
    suffix = "f" if rounding is to_f32 else ""
    text = ", ".join(f"{float(a):.{digits}g}{'' if suffix == '' else ''}" for a in reversed(fixed))
    print(f"{{{text}}}\n", flush=True)


def series(f, terms):
    """f away from 0, its Taylor series near 0 (where f's formula cancels)."""
    return lambda x: mp.polyval(terms[::-1], x) if abs(x) < mp.mpf("1e-6") else f(x)


def taylor(f, n):
    with mp.workdps(120):
        return [mp.mpf(c) for c in mp.taylor(f, 0, n)]


def expm1_tail():
    def f(r):
        return series(
            lambda x: (mp.expm1(x) - x) / x**2, [1 / mp.factorial(k + 2) for k in range(8)]
        )(r)

    # The relative error of e^r - 1 near 0, not quite reaching 0 where the weight would vanish.
    return f, lambda r: mp.sqrt((r**2 / mp.expm1(r) if r else 0) ** 2 + mp.mpf("1e-4"))


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")


def fits():
    f, w = expm1_tail()
    yield "exp32: (e^r-1-r)/r^2", f, w, -HALF_LN2, HALF_LN2, 4, to_f32
    yield "exp64: (e^r-1-r)/r^2", f, w, -HALF_LN2, HALF_LN2, 10, to_f64

    g = series(
        lambda x: (mp.log1p(x) - x + x**2 / 2) / x**3, [(-1) ** k / mp.mpf(k + 3) for k in range(8)]
    )
    gw = lambda x: (abs(x**3 / mp.log1p(x)) if x else 0) + mp.mpf("1e-3")  # noqa: E731
    yield "log32: (log(1+f)-f+f^2/2)/f^3", g, gw, mp.sqrt("0.5") - 1, mp.sqrt(2) - 1, 8, to_f32

    q = series(
        lambda x: (mp.log1p(x) - x) / x**2, [(-1) ** (k + 1) / mp.mpf(k + 2) for k in range(8)]
    )
    qw = lambda x: x**2 / mp.log1p(x) if x > 0 else mp.mpf("1e-30")  # noqa: E731
    yield "log1p32 on [0,1]: (log(1+u)-u)/u^2", q, qw, 0, 1, 9, to_f32

    def atanh_tail(z):
        terms = [mp.mpf(2) / (2 * k + 3) for k in range(8)]
        return series(lambda y: (2 * mp.atanh(mp.sqrt(y)) / mp.sqrt(y) - 2) / y, terms)(z)

    yield (
        "log64: (2atanh(s)/s-2)/z, z=s^2",
        atanh_tail,
        lambda z: z / 2 + mp.mpf("1e-30"),
        0,
        "0.02944",
        6,
        to_f64,
    )

    tanh_tail = series(
        lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, taylor(mp.tanh, 17)[3::2]
    )

    yield (
        "tanh32: (tanh(x)/x-1)/z, z=x^2 on [0,0.64^2]",
        tanh_tail,
        lambda z: z + mp.mpf("1e-30"),
        0,
        "0.4096",
        4,
        to_f32,
    )

    def erf_tail(z):
        terms = [
            2 / mp.sqrt(mp.pi) * (-1) ** k / (mp.factorial(k) * (2 * k + 1)) for k in range(12)
        ]
        terms[0] -= 1
        return series(lambda y: mp.erf(mp.sqrt(y)) / mp.sqrt(y) - 1, terms)(z)

    yield (
        "erf32: erf(x)/x-1, z=x^2 on [0,0.95^2]",
        erf_tail,
        lambda z: 1 / mp.mpf("1.1"),
        0,
        "0.9025",
        6,
        to_f32,
    )
    yield (
        "erf64: erf(x)/x-1, z=x^2 on [0,1]",
        erf_tail,
        lambda z: 1 / mp.mpf("1.1"),
        0,
        1,
        12,
        to_f64,
    )

    def log_erfc(t):
        return mp.log(mp.erfc(t)) / t

    yield (
        "erf32: log(erfc(t))/t on [0.9,4]",
        log_erfc,
        lambda t: t * mp.erfc(t) / mp.erf(t),
        "0.9",
        "4.0",
        7,
        to_f32,
    )

    def erfcx(q_):
        k = mp.mpf("3.75")
        x = k * (1 + q_) / (1 - q_) if q_ < 1 else mp.mpf(10) ** 8
        if x > 50:
            value = sum((-1) ** n * mp.fac2(2 * n - 1) / (2 * x * x) ** n for n in range(1, 12)) + 1
            return (1 + 2 * x) * value / (x * mp.sqrt(mp.pi))
        return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)

    yield (
        "erfc64: (1+2x)exp(x^2)erfc(x) in q=(x-3.75)/(x+3.75), x in [0,30]",
        erfcx,
        lambda q_: 1 / erfcx(q_),
        -1,
        "0.778",
        21,
        to_f64,
    )
    yield "erfc32: the same, x in [0,11]", erfcx, lambda q_: 1 / erfcx(q_), -1, "0.5", 9, to_f32

    quarter = (mp.pi / 4 * mp.mpf("1.0001")) ** 2

    def sin_tail(z):
        terms = [(-1) ** (k + 1) / mp.factorial(2 * k + 3) for k in range(8)]
        return series(lambda y: (mp.sin(mp.sqrt(y)) / mp.sqrt(y) - 1) / y, terms)(z)

    def cos_tail(z):
        terms = [(-1) ** k / mp.factorial(2 * k + 4) for k in range(8)]
        return series(lambda y: (mp.cos(mp.sqrt(y)) - 1 + y / 2) / y**2, terms)(z)

    for bits, sine, cosine, rounding in ((32, 3, 2, to_f32), (64, 5, 5, to_f64)):
        yield (
            f"sin{bits}: (sin(x)/x-1)/z",
            sin_tail,
            lambda z: z + mp.mpf("1e-30"),
            0,
            quarter,
            sine,
            rounding,
        )
        yield (
            f"cos{bits}: (cos(x)-1+z/2)/z^2",
            cos_tail,
            lambda z: z**2 + mp.mpf("1e-30"),
            0,
            quarter,
            cosine,
            rounding,
        )

    def atan_tail(z):
        terms = [(-1) ** (k + 1) / mp.mpf(2 * k + 3) for k in range(8)]
        return series(lambda y: (mp.atan(mp.sqrt(y)) / mp.sqrt(y) - 1) / y, terms)(z)

    yield (
        "atan64: (atan(x)/x-1)/z on [0,tan(pi/8)^2]",
        atan_tail,
        lambda z: z + mp.mpf("1e-30"),
        0,
        "0.1717",
        10,
        to_f64,
    )

    asin_tail = series(
        lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, taylor(mp.asin, 19)[3::2]
    )

    yield (
        "asin64: (asin(x)/x-1)/z on [0,1/4]",
        asin_tail,
        lambda z: z + mp.mpf("1e-30"),
        0,
        "0.25",
        11,
        to_f64,
    )


if __name__ == "__main__":
    for arguments in fits():
        if len(sys.argv) < 2 or sys.argv[1] in arguments[0]:
            fit(*arguments)
