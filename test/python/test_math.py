"""Elementary functions, as compiled: each is within its documented error of a wider reference,
special values included, and bits do not depend on the place in a vector.

scripts/sweep_math.py does the same for every float32 there is.
"""

import lnnc
import ml_dtypes
import numpy as np
import pytest
from math_reference import (
    BINARY,
    CIRCULAR,
    DTYPES,
    HAS_EXTENDED,
    PHASE,
    UNARY,
    compile_functions,
    errors,
    evaluate,
    reference,
)

ELEMENTS = ["f16", "bf16", "f32", pytest.param("f64", marks=pytest.mark.skipif(
    not HAS_EXTENDED, reason="no format wider than float64 here"))]  # fmt: skip


def samples(element, count, seed=0):
    """Every kind of number: specials and their neighbours, any bits, and the ranges that matter."""
    dtype = DTYPES[element]
    rng = np.random.default_rng(seed)
    width = np.dtype(dtype).itemsize
    unsigned = np.dtype(f"u{width}")
    if width == 2:
        return np.arange(2**16, dtype=unsigned).view(dtype)
    info = np.finfo(dtype)
    special = [0, np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, 1, 0.5, 2, np.pi,
               np.pi / 2, np.pi / 4, 88, 88.7228, 89, 103.97, 104, 709.78, 710, 745.13, 746, 0.625,
               0.921875, 0.34657359, 17.3, 20, 40]  # fmt: skip
    special = np.array(special, dtype)
    around = [special, np.nextafter(special, dtype(np.inf)), np.nextafter(special, dtype(-np.inf))]
    near = np.concatenate(around)
    any_bits = rng.integers(0, 2 ** (8 * width), count, unsigned).view(dtype)
    ranges = [rng.uniform(-r, r, count).astype(dtype) for r in (1, 4, 30, 120, 800)]
    close = [(1 + rng.uniform(-1, 1, count) * 2.0 ** -rng.uniform(0, 24, count)).astype(dtype)]
    return np.concatenate([near, -near, any_bits, *ranges, *close])


def applies(name, element, x):
    """Where the documented error holds."""
    if name in CIRCULAR:
        with np.errstate(all="ignore"):
            x = np.abs(x.astype("f8"))
        return (x <= PHASE[element]) | ~np.isfinite(x)
    return np.ones(x.shape, bool)


def underflows(name, element, want):
    """Sigmoid and SiLU are zero where the sigmoid would be denormal, or nearly."""
    lowest = {"f64": 2.0**-1023.5 * 710}.get(element, 2.0**-127.5 * 90)
    return (name in ("lnn.sigmoid", "lnn.silu")) & (np.abs(want) <= lowest)


def denormals(name, element, want):
    """GELU's denormal results are products of denormals: of f64, they lose up to 6 bits."""
    return (name == "lnn.gelu") & (element == "f64") & (np.abs(want) < 2.0**-1021)


@pytest.fixture(scope="module")
def unary():
    made = {}

    def get(element):
        if element not in made:
            made[element] = compile_functions(UNARY, element)
        return made[element]

    return get


def measure(name, element, got, want, where):
    """The errors, less those that are documented as exceptions."""
    error = np.where(where, errors(got, want), 0)
    error = np.where(underflows(name, element, want) & (got == 0), 0, error)
    return np.where(denormals(name, element, want), error / 64, error)


def check(name, element, got, want, where, bound, arguments):
    error = measure(name, element, got, want, where)
    worst = int(np.argmax(error))
    assert error[worst] <= bound, (
        f"{name}({', '.join(str(a[worst]) for a in arguments)}) = {got[worst]}, not "
        f"{want[worst]}: {error[worst]} ulp; {np.count_nonzero(error > bound)} such"
    )


def bound_of(entry, element):
    _, single, double = entry
    return {"f32": single, "f64": double}.get(element, 0.501)


@pytest.mark.parametrize("element", ELEMENTS)
def test_functions_of_one_argument(unary, element):
    x = samples(element, 20_000)
    results = evaluate(unary(element), x)
    failures = []
    for got, (name, entry) in zip(results, UNARY.items()):
        want = reference(entry[0], DTYPES[element], x)
        try:
            check(
                name, element, got, want, applies(name, element, x), bound_of(entry, element), [x]
            )
        except AssertionError as error:
            failures.append(str(error).splitlines()[0])
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("element", ELEMENTS)
def test_functions_of_two_arguments(element):
    x, y = samples(element, 20_000, 1), samples(element, 20_000, 2)
    rng = np.random.default_rng(3)
    x, y = rng.permutation(x), rng.permutation(y)
    dtype = DTYPES[element]
    zeros = np.array([0.0, -0.0, 1, -1, 2, -2, 3, 0.5, -0.5, np.inf, -np.inf, np.nan], dtype)
    pairs = [a.ravel() for a in np.meshgrid(zeros, zeros)]
    x, y = np.concatenate([x, pairs[0]]), np.concatenate([y, pairs[1]])
    results = evaluate(compile_functions(BINARY, element, 2), x, y)
    for got, (name, entry) in zip(results, BINARY.items()):
        want = reference(entry[0], dtype, x, y)
        check(name, element, got, want, True, bound_of(entry, element), [x, y])


@pytest.mark.parametrize("element", ["f32", "f64"])
def test_bits_do_not_depend_on_the_place_in_a_vector(unary, element):
    x = samples(element, 50)[:203]
    whole = evaluate(unary(element), x)
    for n in (1, 7, 16, 33, 203):
        for first in (0, 1, 5):
            part = evaluate(unary(element), x[first : first + n])
            for a, b in zip(part, whole):
                b = b[first : first + n]
                number = ~np.isnan(b)  # of a NaN only that it is one
                assert np.array_equal(np.isnan(a), ~number)
                assert a[number].tobytes() == b[number].tobytes()


def test_the_measure_tells_errors():
    """A reference that is off, a NaN, a sign, an infinity: each is seen."""
    one = np.array([1.0], "f4")
    up = np.nextafter(one, np.float32(2))
    assert errors(up, one.astype("f8"))[0] == 1
    for got, want in [
        (np.nan, 1),
        (1, np.nan),
        (-0.0, 0.0),
        (np.inf, 1),
        (1, np.inf),
        (-np.inf, np.inf),
    ]:
        assert errors(np.array([got], "f4"), np.array([want], "f8"))[0] == np.inf
    assert errors(np.array([np.inf], "f4"), np.array([1e39]))[0] == 0
    tiny = np.array([1e-45], "f4")
    assert errors(tiny, np.array([0.0]))[0] == 1
    half = np.array([1.5], ml_dtypes.bfloat16)
    assert errors(half, np.array([1.5]))[0] == 0


def test_the_gate_of_sums():
    """1 / (1 + 2^x) for sums of many: its error is bounded absolutely, and it saturates."""
    x = samples("f32", 50_000)
    (got,) = evaluate(compile_functions(["lnn.gate"], "f32"), x)
    with np.errstate(over="ignore", invalid="ignore"):
        want = 1 / (1 + np.exp2(x.astype("f8")))
    assert np.array_equal(np.isnan(got), np.isnan(want))
    number = ~np.isnan(want)
    assert np.max(np.abs(got - want)[number]) <= 1.5e-7
    assert got[x == np.inf][0] == 0 and got[x == -np.inf][0] == 1


def test_the_denominator_of_gates():
    """1 + 2^min(x, 62): the product of two is finite, and never below one."""
    x = samples("f32", 50_000)
    (got,) = evaluate(compile_functions(["lnn.gate_denominator"], "f32"), x)
    with np.errstate(over="ignore", invalid="ignore"):
        want = 1 + np.exp2(np.minimum(x.astype("f8"), 62))
    number = ~np.isnan(x)
    assert np.array_equal(np.isnan(got), ~number)
    assert np.max(np.abs(got - want)[number] / want[number]) <= 2.2e-7
    assert np.all(got[number] >= 1)


PAIRS = """
#k = affine_map<(b, k) -> (b, k)>
#w = affine_map<(b, k) -> (k)>
#b = affine_map<(b, k) -> (b)>
func.func @main(%x: tensor<?x2xf32> {lnn.name = "x"}) -> (tensor<?xf32> {lnn.name = "y"}) {
  %w = arith.constant dense<[WEIGHTS]> : tensor<2xf32>
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %size = tensor.dim %x, %c0 : tensor<?x2xf32>
  %empty = tensor.empty(%size) : tensor<?xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?xf32>) -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#k, #w, #b], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<?x2xf32>, tensor<2xf32>) outs(%init : tensor<?xf32>) {
  ^bb0(%a: f32, %v: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %v : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
"""


@pytest.mark.parametrize(
    "weights", [(1, 1), (-1, -1), (1, -1), (0.3, 1), (1e18, -1e18), (1e30, 1), (1e38, -3e38)]
)
def test_two_gates_with_one_division(weights):
    text = ", ".join(f"{float(w):e}" for w in weights)
    model = lnnc.compile(PAIRS.replace("WEIGHTS", text).encode())
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-r, r, (200_000, 2)) for r in (2, 8, 30, 200)]
    ends = np.array([-np.inf, -200, -1, 0, 1, 61, 62, 63, 64, 127, 128, 1000, np.inf])
    parts.append(np.stack(np.meshgrid(ends, ends), -1).reshape(-1, 2))
    x, w = np.concatenate(parts).astype("f4"), np.array(weights, "f4")
    got = model(x=x)["y"]
    with np.errstate(over="ignore"):
        want = (w.astype("f8") / (1 + np.exp2(x.astype("f8")))).sum(1)
    assert np.max(np.abs(got - want)) <= 2.4e-7 * np.abs(w.astype("f8")).sum()
    bad = model(x=np.array([[np.nan, 0], [0, np.nan]], "f4"))["y"]
    assert np.all(np.isnan(bad))
