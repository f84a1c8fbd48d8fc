"""ode.solve, compiled from text: explicit methods against their tableaux and, for their order,
against a solution that SciPy finds; semilinear schemes against their formulas; output times.
"""

import lnnc
import numpy as np
import pytest
from scipy.integrate import RK23, RK45, solve_ivp

# The order of each explicit method, and steps with an error well above rounding's.
ORDERS = {
    "euler": (1, 64),
    "midpoint": (2, 32),
    "heun": (2, 32),
    "bosh3": (3, 24),
    "rk4": (4, 16),
    "rk4_38": (4, 16),
    "dopri5": (5, 12),
    "tsit5": (5, 12),
    "dopri8": (8, 4),
}
# a, b, c as textbooks and SciPy have them.
TABLEAUX = {
    "euler": ([[]], [1], [0]),
    "midpoint": ([[], [1 / 2]], [0, 1], [0, 1 / 2]),
    "heun": ([[], [1]], [1 / 2, 1 / 2], [0, 1]),
    "rk4": (
        [[], [1 / 2], [0, 1 / 2], [0, 0, 1]],
        [1 / 6, 1 / 3, 1 / 3, 1 / 6],
        [0, 1 / 2, 1 / 2, 1],
    ),
    "rk4_38": (
        [[], [1 / 3], [-1 / 3, 1], [1, -1, 1]],
        [1 / 8, 3 / 8, 3 / 8, 1 / 8],
        [0, 1 / 3, 2 / 3, 1],
    ),
    "bosh3": (RK23.A, RK23.B, RK23.C),
    "dopri5": (RK45.A, RK45.B, RK45.C),
}
START = np.array([0.3, -0.8, 1.1])
FIELD = """ {
  ^bb0(%t: f64, %s: tensor<3xf64>):
    %three = arith.constant 3.0 : f64
    %empty = tensor.empty() : tensor<3xf64>
    %d = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
        iterator_types = ["parallel"]} ins(%s : tensor<3xf64>) outs(%empty : tensor<3xf64>) {
    ^bb0(%x: f64, %o: f64):
      %a = arith.mulf %three, %t : f64
      %force = math.sin %a : f64
      %x2 = arith.mulf %x, %x : f64
      %x3 = arith.mulf %x2, %x : f64
      %v = arith.subf %force, %x3 : f64
      linalg.yield %v : f64
    } -> tensor<3xf64>
    ode.yield %d : tensor<3xf64>
  }
"""


def slope(t, h):
    """What FIELD says."""
    return np.sin(3 * t) - h**3


def exact(times, start):
    """The states at these times, to about 1e-13."""
    return solve_ivp(slope, (start, times[-1]), START, "DOP853", times, rtol=1e-13, atol=1e-14).y.T


def argument(name, kind, dims):
    return f'%{name}: {kind} {{lnn.name = "{name}", lnn.dims = [{dims}]}}'


def interval(scheme, steps, dt, start):
    text = f"""
func.func @main({argument("h", "tensor<3xf64>", 3)}) -> (tensor<3xf64> {{lnn.name = "y"}}) {{
  %dt = arith.constant {dt!r} : f64
  %t0 = arith.constant {start!r} : f64
  %y = ode.solve %h for %dt from %t0 method <{scheme}, steps = {steps}> : tensor<3xf64>, f64{FIELD}
  return %y : tensor<3xf64>
}}"""
    return lnnc.compile(text).run({"h": START})["y"]


@pytest.mark.parametrize("scheme", TABLEAUX)
@pytest.mark.parametrize("steps", [1, 3])
def test_explicit_method_is_its_tableau(scheme, steps):
    a, b, c = TABLEAUX[scheme]
    got = interval(scheme, steps, 0.75, 0.25)
    h, dt = START, 0.75 / steps
    for n in range(steps):
        t, stages = 0.25 + n * dt, []
        for row, node in zip(a, c):
            at = h + dt * sum((w * k for w, k in zip(row, stages)), np.zeros(3))
            stages.append(slope(t + node * dt, at))
        h = h + dt * sum(w * k for w, k in zip(b, stages))
    np.testing.assert_allclose(got, h, rtol=0, atol=1e-14)


@pytest.mark.parametrize("scheme", ORDERS)
def test_explicit_method_has_its_order(scheme):
    order, steps = ORDERS[scheme]
    want = exact([1.5], 0.25)[0]
    coarse, fine = (
        np.max(np.abs(interval(scheme, n, 1.25, 0.25) - want)) for n in (steps, 2 * steps)
    )
    assert fine > 1e-13, "rounding hides the order"
    assert np.log2(coarse / fine) > order - 0.35


@pytest.mark.parametrize("scheme", ["semi_implicit", "exponential_euler"])
@pytest.mark.parametrize("mass", [False, True])
@pytest.mark.parametrize("batch", [1, 5])
def test_semilinear_scheme_is_its_formula(scheme, mass, batch):
    random = np.random.default_rng(batch)
    h, b = random.uniform(-1, 1, (2, batch, 3))
    a, c = random.uniform(0.1, 2, (batch, 3)), random.uniform(0.5, 2, 3)
    a[0, 0] = 0  # a state that does not decay
    dt = random.uniform(0.1, 1, (batch, 1))
    arguments = ", ".join(
        [argument(name, "tensor<?x3xf64>", '"batch", 3') for name in "hab"]
        + [argument("c", "tensor<3xf64>", 3), argument("dt", "tensor<?x1xf64>", '"batch", 1')]
    )
    text = f"""
func.func @main({arguments}) -> (tensor<?x3xf64> {{lnn.name = "y"}}) {{
  %y = ode.solve %h for %dt method <{scheme}, steps = 4> : tensor<?x3xf64>, tensor<?x1xf64> {{
  ^bb0(%t: tensor<?x1xf64>, %s: tensor<?x3xf64>):
    ode.yield_semilinear decay %a : tensor<?x3xf64> drive %b : tensor<?x3xf64>
        {"mass %c : tensor<3xf64>" if mass else ""}
  }}
  return %y : tensor<?x3xf64>
}}"""
    got = lnnc.compile(text).run({"h": h, "a": a, "b": b, "c": c, "dt": dt})["y"]
    c, step = (c if mass else np.ones(3)), dt / 4
    want = h
    for _ in range(4):
        if scheme == "semi_implicit":
            want = (c / step * want + b) / (c / step + a)
        else:
            x = a * step / c
            grown = np.where(x == 0, step / c, -np.expm1(-x) / np.where(a == 0, 1, a))
            want = np.exp(-x) * want + grown * b
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("count", [1, 7])
def test_output_times(count):
    times = np.linspace(0.5, 2, count)
    text = f"""
func.func @main({argument("h", "tensor<3xf64>", 3)}, {argument("times", "tensor<?xf64>", '"n"')})
    -> (tensor<?x3xf64> {{lnn.name = "y"}}) {{
  %t0 = arith.constant 0.25 : f64
  %y = ode.solve %h at %times from %t0 method <rk4, steps = 200>
      : tensor<3xf64>, tensor<?xf64>{FIELD}
  return %y : tensor<?x3xf64>
}}"""
    got = lnnc.compile(text).run({"h": START, "times": times})["y"]
    np.testing.assert_allclose(got, exact(times, 0.25), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "method,message",
    [
        ("dopri5, rtol = 1.0e-6, atol = 1.0e-8", "adaptive control"),
        ("implicit_euler, steps = 2", "implicit scheme 'implicit_euler'"),
    ],
)
def test_what_cannot_be_lowered_is_refused(method, message):
    text = f"""
func.func @main({argument("h", "tensor<3xf64>", 3)}) -> (tensor<3xf64> {{lnn.name = "y"}}) {{
  %dt = arith.constant 1.0 : f64
  %y = ode.solve %h for %dt method <{method}> : tensor<3xf64>, f64{FIELD}
  return %y : tensor<3xf64>
}}"""
    with pytest.raises(lnnc.CompileError, match=message):
        lnnc.compile(text)
