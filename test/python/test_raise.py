"""Raising: cells written in many ways, against their equations in float64, and near misses.

A graph that is raised wrongly gives wrong numbers; one that isn't raised is slow and right. So each
is run, and what it became is asked apart.
"""

import pathlib
import subprocess

import lnnc
import numpy as np
import onnx
import pytest
from conftest import ROOT, assert_close
from unrolled import Builder

BIN = pathlib.Path(lnnc.__file__).resolve().parents[2] / "bin"
if not (BIN / "lnn-opt").exists():
    BIN = ROOT / "build" / "bin"
PIPELINE = (
    "builtin.module(func.func(onnx-raise-recurrence,onnx-reroll),convert-onnx-to-lnn,"
    "canonicalize,cse,lnn-raise-pipeline)"
)
RNG = np.random.default_rng(11)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def raised(model, tmp_path):
    """The text of the model once raised."""
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    module = subprocess.run(
        [BIN / "lnn-translate", "--import-onnx", path], capture_output=True, check=True
    ).stdout
    return subprocess.run(
        [BIN / "lnn-opt", f"--pass-pipeline={PIPELINE}"],
        input=module,
        capture_output=True,
        check=True,
    ).stdout.decode()


def check(builder, want, inputs, tmp_path, op=None, absent=None):
    """Runs the graph with and without raising; `op` is what it must become, `absent` what not."""
    model = builder.model()
    onnx.checker.check_model(model)
    want = {f"y{i}": np.asarray(w, "f4") for i, w in enumerate(want)}
    assert_close(lnnc.compile(model).run(inputs), want)
    assert_close(lnnc.compile(model, raise_cells=False).run(inputs), want)
    text = raised(model, tmp_path)
    assert op is None or op in text
    assert absent is None or absent not in text


def uniform(*shape):
    return RNG.uniform(-1, 1, shape).astype("f4")


# LTC ---------------------------------------------------------------------------------------------


class Ltc:
    """A step of a liquid cell with choices in how it is written."""

    def __init__(self, n=5, i=3, rows=2):
        self.n, self.i, self.rows = n, i, rows
        self.p = {
            "w": RNG.uniform(0.1, 1, (n, n)), "sigma": RNG.uniform(2, 6, (n, n)),
            "mu": RNG.uniform(0.2, 0.8, (n, n)), "erev": RNG.choice([-1.0, 1.0], (n, n)),
            "sw": RNG.uniform(0.1, 1, (i, n)), "ssigma": RNG.uniform(2, 6, (i, n)),
            "smu": RNG.uniform(0.2, 0.8, (i, n)), "serev": RNG.choice([-1.0, 1.0], (i, n)),
            "cm": RNG.uniform(0.4, 0.6, n), "gleak": RNG.uniform(0.1, 1, n),
            "vleak": RNG.uniform(-0.2, 0.2, n), "mask": RNG.integers(0, 2, (n, n)),
        }  # fmt: skip
        self.p = {k: v.astype("f4") for k, v in self.p.items()}
        self.h, self.x, self.dt = uniform(rows, n), uniform(rows, i), 0.5 + uniform(rows, 1) / 4

    def inputs(self):
        return {"h": self.h, "x": self.x, "dt": self.dt}

    def want(self, unfolds, denominator="w"):
        p = {k: v.astype("f8") for k, v in self.p.items()}
        h, x, dt = (a.astype("f8") for a in (self.h, self.x, self.dt))
        cm = p["cm"] / (dt / unfolds)
        s = p["sw"] * sigmoid(p["ssigma"] * (x[:, :, None] - p["smu"]))
        for _ in range(unfolds):
            gate = p["mask"] * sigmoid(p["sigma"] * (h[:, :, None] - p["mu"]))
            r, d = p["w"] * gate, p[denominator] * gate
            num = cm * h + p["gleak"] * p["vleak"] + (r * p["erev"]).sum(1)
            h = (num + (s * p["serev"]).sum(1)) / (cm + p["gleak"] + d.sum(1) + s.sum(1) + 1e-8)
        return h

    def build(self, unfolds, denominator="w", late_mask=False):
        b = Builder(0)
        h = b.input("h", ["n", self.n])
        x, dt = b.input("x", ["n", self.i]), b.input("dt", ["n", 1])
        k = {name: b.const(value) for name, value in self.p.items()}
        one, axis = b.ints(1), b.ints(2)
        cm = b.op("Div", k["cm"], b.op("Div", dt, b.const(float(unfolds))))

        def gate(v, sigma, mu):
            d = b.op("Sub", b.op("Unsqueeze", v, axis), k[mu])
            return b.op("Sigmoid", b.op("Mul", d, k[sigma]))

        def total(v):
            return b.op("ReduceSum", v, one, keepdims=0)

        s = b.op("Mul", gate(x, "ssigma", "smu"), k["sw"])
        sn, sd = total(b.op("Mul", s, k["serev"])), total(s)
        for _ in range(unfolds):
            g = gate(h, "sigma", "mu")
            if not late_mask:
                g = b.op("Mul", k["mask"], g)
            r, d = b.op("Mul", g, k["w"]), b.op("Mul", g, k[denominator])
            if late_mask:
                r, d = b.op("Mul", r, k["mask"]), b.op("Mul", k["mask"], d)
            num = b.op("Add", b.op("Mul", h, cm), total(b.op("Mul", k["erev"], r)))
            num = b.op("Add", b.op("Mul", k["vleak"], k["gleak"]), b.op("Add", num, sn))
            den = b.op("Add", b.op("Add", b.const(1e-8), total(d)), b.op("Add", sd, k["gleak"]))
            h = b.op("Div", num, b.op("Add", den, cm))
        b.output(h, ["n", self.n])
        return b


@pytest.mark.parametrize("late_mask", [False, True])
@pytest.mark.parametrize("unfolds", [1, 2, 6])
def test_ltc(unfolds, late_mask, tmp_path):
    cell = Ltc()
    check(
        cell.build(unfolds, late_mask=late_mask), [cell.want(unfolds)], cell.inputs(), tmp_path,
        op=f"unfolds {unfolds} recurrent", absent="lnn.sigmoid",
    )  # fmt: skip


def test_ltc_of_two_conductances_is_none(tmp_path):
    """The denominator has other weights than the numerator."""
    cell = Ltc()
    check(
        cell.build(6, "sigma"), [cell.want(6, "sigma")], cell.inputs(), tmp_path, absent="lnn.ltc"
    )


# CfC ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure", "swapped"])
def test_cfc(mode, tmp_path):
    n, f = 6, 7
    b = Builder(0)
    x, dt = b.input("x", ["n", f]), b.input("dt", ["n", 1])
    xs, dts = uniform(3, f), 0.5 + uniform(3, 1) / 4
    w = [uniform(f, n) for _ in range(4)]
    c = [uniform(n) for _ in range(4)]
    tau, a = uniform(1, n), uniform(1, n)
    layer = [b.op("Add", b.op("MatMul", x, b.const(w[i])), b.const(c[i])) for i in range(4)]
    x8, dt8 = xs.astype("f8"), dts.astype("f8")
    ff1, ff2, ta, tb = (x8 @ w[i].astype("f8") + c[i].astype("f8") for i in range(4))
    t8, one = sigmoid(ta * dt8 + tb), b.const(1.0)
    if mode == "pure":
        rate = b.op("Add", b.op("Abs", layer[0]), b.op("Abs", b.const(tau)))
        decay = b.op("Exp", b.op("Neg", b.op("Mul", rate, dt)))
        y = b.op("Sub", b.const(a), b.op("Mul", b.op("Mul", decay, b.const(a)), layer[0]))
        want = a - a * np.exp(-dt8 * (np.abs(tau) + np.abs(ff1))) * ff1
    else:
        t = b.op("Sigmoid", b.op("Add", layer[3], b.op("Mul", dt, layer[2])))
        h1, h2 = b.op("Tanh", layer[0]), b.op("Tanh", layer[1])
        gated = b.op("Mul", t, h2)
        if mode == "default":
            y = b.op("Add", b.op("Mul", b.op("Sub", one, t), h1), gated)
            want = np.tanh(ff1) * (1 - t8) + t8 * np.tanh(ff2)
        elif mode == "no_gate":
            y, want = b.op("Add", h1, gated), np.tanh(ff1) + t8 * np.tanh(ff2)
        else:  # 1 + t where 1 - t should be
            y = b.op("Add", b.op("Mul", b.op("Add", one, t), h1), gated)
            want = np.tanh(ff1) * (1 + t8) + t8 * np.tanh(ff2)
    b.output(y, ["n", n])
    none = mode == "swapped"
    check(
        b, [want], {"x": xs, "dt": dts}, tmp_path,
        op=None if none else f"mode {mode}", absent="lnn.cfc" if none else "math.",
    )  # fmt: skip


# Rate neurons and solvers ------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.75, 0.7])
def test_leaky(keep, tmp_path):
    """h' = keep h + 0.25 tanh(...): leaky only where the weights add up to 1."""
    n, steps, rows = 6, 8, 2
    b = Builder(0)
    h, x = b.input("h", [rows, n]), b.input("x", [steps, rows, 3])
    r, w = uniform(n, n) / 2, uniform(3, n)
    hs, xs = uniform(rows, n), uniform(steps, rows, 3)
    k = [b.const(v) for v in (r, w, keep, 0.25)]
    h8 = hs.astype("f8")
    for t in range(steps):
        xt = b.op("Gather", x, b.const(t, "i8"), axis=0)
        u = b.op("Add", b.op("MatMul", h, k[0]), b.op("MatMul", xt, k[1]))
        h = b.op("Add", b.op("Mul", h, k[2]), b.op("Mul", k[3], b.op("Tanh", u)))
        h8 = keep * h8 + 0.25 * np.tanh(h8 @ r + xs[t] @ w)
    b.output(h, [rows, n])
    leaky = keep == 0.75
    check(
        b, [h8], {"h": hs, "x": xs}, tmp_path,
        op="lnn.ctrnn" if leaky else None, absent=None if leaky else "lnn.ctrnn",
    )  # fmt: skip


TABLEAUX = {
    "midpoint": ([[1 / 2]], [0, 1]),
    "heun": ([[1]], [1 / 2, 1 / 2]),
    "rk4": ([[1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
    "rk4_38": ([[1 / 3], [-1 / 3, 1], [1, -1, 1]], [1 / 8, 3 / 8, 3 / 8, 1 / 8]),
    None: ([[1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 5, 3 / 10, 3 / 10, 1 / 5]),
}


def runge_kutta(b, h, field, durations, name, factored):
    """The states after each step; `factored`: dt outside of the sums over the stages."""
    a, weights = TABLEAUX[name]
    states = []

    def combine(start, dt, coefficients, stages):
        terms = [(c, k) for c, k in zip(coefficients, stages) if c]
        if not factored:
            for c, k in terms:
                start = b.op("Add", start, b.op("Mul", b.const(dt * c), k))
            return start
        total = None
        for c, k in terms:
            term = k if c == 1 else b.op("Mul", k, b.const(c))
            total = term if total is None else b.op("Add", total, term)
        return b.op("Add", start, b.op("Mul", b.const(dt), total)) if terms else start

    for dt in durations:
        stages = []
        for row in [[], *a]:
            stages.append(field(combine(h, dt, row, stages)))
        h = combine(h, dt, weights, stages)
        states.append(h)
    return states


def runge_kutta8(h, field, durations, name):
    a, weights = TABLEAUX[name]
    states = []
    for dt in durations:
        stages = []
        for row in [[], *a]:
            at = h + dt * sum((c * k for c, k in zip(row, stages)), np.zeros_like(h))
            stages.append(field(at))
        h = h + dt * sum(c * k for c, k in zip(weights, stages))
        states.append(h)
    return np.stack(states)


@pytest.mark.parametrize("every_state", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize("name", TABLEAUX)
def test_runge_kutta(name, factored, layers, every_state, tmp_path):
    n, steps, dt = 5, 6, 0.125
    b = Builder(0)
    h, hs, matrices = b.input("h", [2, n]), uniform(2, n), [uniform(n, n) for _ in range(layers)]
    weights = [b.const(m) for m in matrices]

    def field(z):
        for w in weights:
            z = b.op("Tanh", b.op("MatMul", z, w))
        return z

    def field8(z):
        for m in matrices:
            z = np.tanh(z @ m.astype("f8"))
        return z

    states = runge_kutta(b, h, field, [dt] * steps, name, factored)
    want = runge_kutta8(hs.astype("f8"), field8, [dt] * steps, name)
    if every_state:
        rows = [b.op("Unsqueeze", s, b.ints(0)) for s in states]
        b.output(b.op("Concat", *rows, axis=0), [steps, 2, n])
        op = f"method <{name}, steps = 1> : tensor<2x{n}xf32>, tensor<{steps}xf64>"
    else:
        want = want[-1]
        b.output(states[-1], [2, n])
        op = f"method <{name}, steps = {steps}>"
    check(
        b, [want], {"h": hs}, tmp_path,
        op=op if name else None, absent="lnn.scan" if name else "ode.solve",
    )  # fmt: skip


@pytest.mark.parametrize("every_state", [False, True])
def test_runge_kutta_over_a_rounded_grid(every_state, tmp_path):
    """Durations that differ by the rounding of the times."""
    n, steps = 5, 7
    b = Builder(0)
    h, hs, m = b.input("h", [2, n]), uniform(2, n), uniform(n, n)
    w = b.const(m)
    durations = np.diff(np.linspace(0, 1, steps + 1, dtype="f4"))
    assert len(set(durations)) > 1
    states = runge_kutta(
        b, h, lambda z: b.op("Tanh", b.op("MatMul", z, w)), durations, "rk4_38", True
    )
    want = runge_kutta8(
        hs.astype("f8"), lambda z: np.tanh(z @ m.astype("f8")), durations.astype("f8"), "rk4_38"
    )
    if every_state:
        rows = [b.op("Unsqueeze", s, b.ints(0)) for s in states]
        b.output(b.op("Concat", *rows, axis=0), [steps, 2, n])
    else:
        want = want[-1]
        b.output(states[-1], [2, n])
    check(
        b, [want], {"h": hs}, tmp_path, op="method <rk4_38, steps = 1>",
        absent="lnn.scan" if every_state else None,
    )  # fmt: skip


# Linear recurrences ------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("steps", [4, 7, 32])
def test_hillis_steele(steps, broken, tmp_path):
    """Log steps of doubling shifts along the second of three axes; one decay for all channels."""
    rows, n = 2, 3
    b = Builder(0)
    av, bv = 0.5 + uniform(rows, steps) / 2, uniform(rows, steps, n)
    a, v = b.input("a", [rows, steps]), b.input("b", [rows, steps, n])
    a = b.op("Unsqueeze", a, b.ints(2))

    def shift(value, by, pad, width):
        rest = b.op("Slice", value, b.ints(0), b.ints(-by), b.ints(1))
        return b.op("Concat", b.const(np.full((rows, by, width), pad)), rest, axis=1)

    def shift8(value, by, pad):
        return np.concatenate([np.full_like(value[:, :by], pad), value[:, :-by]], 1)

    a8, b8, by = av.astype("f8")[:, :, None], bv.astype("f8"), 1
    while by < steps:
        at = by + (broken and by == 2)
        b8, a8 = a8 * shift8(b8, at, 0) + b8, a8 * shift8(a8, at, 1)
        v = b.op("Add", b.op("Mul", a, shift(v, at, 0, n)), v)
        a = b.op("Mul", a, shift(a, at, 1, 1))
        by *= 2
    if not broken:
        h, states = np.zeros((rows, n)), []
        for t in range(steps):
            h = av[:, t, None].astype("f8") * h + bv[:, t].astype("f8")
            states.append(h)
        b8 = np.stack(states, 1)
    b.output(v, [rows, steps, n])
    check(
        b, [b8], {"a": av, "b": bv}, tmp_path,
        op=None if broken else "lnn.linear_recurrence",
        absent="lnn.linear_recurrence" if broken and steps > 2 else None,
    )  # fmt: skip
