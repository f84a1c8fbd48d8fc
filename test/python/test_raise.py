"""Raising: cells written in many ways, against their equations in float64, and near misses.

A graph that is raised wrongly gives wrong numbers; one that isn't raised is slow and right. So each
is run, and what it became is asked apart.
"""

import subprocess

import lnnc
import numpy as np
import onnx
import pytest
from conftest import BUILD, assert_close
from unrolled import Builder

BIN = BUILD / "bin"
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


@pytest.mark.parametrize("time", [1.0, 0.7, -2.0])
def test_cfc_for_a_time_that_is_a_number(time, tmp_path):
    """The two layers of its gate are one in the code."""
    n, f = 6, 7
    b = Builder(0)
    x, xs = b.input("x", ["n", f]), uniform(3, f)
    w, c = [uniform(f, n) for _ in range(4)], [uniform(n) for _ in range(4)]
    layer = [b.op("Add", b.op("MatMul", x, b.const(w[i])), b.const(c[i])) for i in range(4)]
    ff1, ff2, ta, tb = (xs.astype("f8") @ w[i].astype("f8") + c[i].astype("f8") for i in range(4))
    scaled = b.op("Mul", layer[2], b.const(time))
    t, t8 = b.op("Sigmoid", b.op("Add", scaled, layer[3])), sigmoid(ta * np.float32(time) + tb)
    h1, h2 = b.op("Tanh", layer[0]), b.op("Tanh", layer[1])
    rest = b.op("Sub", b.const(1.0), t)
    y = b.op("Add", b.op("Mul", h1, rest), b.op("Mul", t, h2))
    b.output(y, ["n", n])
    want = np.tanh(ff1) * (1 - t8) + t8 * np.tanh(ff2)
    check(b, [want], {"x": xs}, tmp_path, op="mode default", absent="math.")


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
    "euler": ([], [1]),
    "midpoint": ([[1 / 2]], [0, 1]),
    "heun": ([[1]], [1 / 2, 1 / 2]),
    "rk4": ([[1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
    "rk4_38": ([[1 / 3], [-1 / 3, 1], [1, -1, 1]], [1 / 8, 3 / 8, 3 / 8, 1 / 8]),
    # Near misses: weights, and a stage that reads another one.
    "weights": ([[1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 5, 3 / 10, 3 / 10, 1 / 5]),
    "stage": ([[1 / 2], [1 / 2], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
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
    known = name not in ("weights", "stage")
    check(
        b, [want], {"h": hs}, tmp_path,
        op=op if known else None, absent="lnn.scan" if known else "ode.solve",
    )  # fmt: skip


@pytest.mark.parametrize("duration", ["constant", "scalar", "rows"])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize("name", TABLEAUX)
def test_few_steps(name, factored, steps, duration, tmp_path):
    """One step or two, which are no loop, in the middle of a network: f reads an input, too."""
    rows, n, i = 2, 5, 3
    b = Builder(0)
    v = {"h": uniform(rows, n), "x": uniform(rows, i)}
    h, x = (b.input(k, value.shape) for k, value in v.items())
    enc, w, u, dec = (uniform(n, n), uniform(n, n), uniform(i, n), uniform(n, 2))
    dt8 = 0.125
    if duration != "constant":
        v["dt"] = 0.1 + 0.1 * np.abs(uniform(*([] if duration == "scalar" else [rows, 1])))
        dt, dt8 = b.input("dt", v["dt"].shape), v["dt"].astype("f8")
    k = [b.const(c) for c in (enc, w, u, dec)]
    h = b.op("Sigmoid", b.op("MatMul", h, k[0]))
    drive = b.op("MatMul", x, k[2])

    def field(z):
        return b.op("Sub", b.op("Tanh", b.op("Add", b.op("MatMul", z, k[1]), drive)), z)

    if duration == "constant":
        h = runge_kutta(b, h, field, [dt8] * steps, name, factored)[-1]
    else:
        for _ in range(steps):
            a, weights = TABLEAUX[name]
            stages = []
            for row in [[], *a, weights]:
                total = h
                for c, stage in zip(row, stages):
                    if c:
                        part = b.op("Mul", b.op("Mul", dt, b.const(c)), stage)
                        total = b.op("Add", total, part)
                if len(stages) < len(weights):
                    stages.append(field(total))
            h = total
    b.output(b.op("MatMul", h, k[3]), [rows, 2])
    h8 = sigmoid(v["h"].astype("f8") @ enc)
    x8 = v["x"].astype("f8") @ u
    want = runge_kutta8(h8, lambda z: np.tanh(z @ w + x8) - z, [dt8] * steps, name)[-1] @ dec
    known = name not in ("weights", "stage")
    count = steps if duration == "constant" else 1
    check(
        b, [want], v, tmp_path, op=f"method <{name}, steps = {count}>" if known else None,
        absent="tanh %a" if known else "ode.solve",
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


def selective(b, names, form, steps, shared=False):
    """An unrolled selective scan as Mamba's reference writes it, and the names of its inputs."""
    op, (x, dt, a, bb, c, h) = b.op, names
    # [B, D, T, N]
    dta = op("Mul", op("Unsqueeze", dt, b.ints(3)), op("Unsqueeze", a, b.ints(0, 2)))
    decay = op("Exp", dta)
    drive = op(
        "Mul",
        op("Mul", op("Unsqueeze", dt, b.ints(3)), op("Unsqueeze", bb, b.ints(1))),
        op("Unsqueeze", x, b.ints(3)),
    )
    outs = []
    for t in range(steps):
        at = b.const(t, "i8")
        pick = lambda v, axis: op("Gather", v, at, axis=axis)  # noqa: E731, B023
        before = h
        h = op("Add", op("Mul", pick(decay, 2), h), pick(drive, 2))
        ct = pick(c, 1)  # [B, N]
        if form == "matmul":
            y = op("MatMul", h, op("Unsqueeze", ct, b.ints(2)))
            y = op("Squeeze", y, b.ints(2))
        elif form == "einsum":
            y = op("Einsum", h, ct, equation="bdn,bn->bd")
        elif form == "sum":
            y = op("ReduceSum", op("Mul", h, op("Unsqueeze", ct, b.ints(1))), b.ints(2), keepdims=0)
        elif form == "of_before":
            y = op("Einsum", before, ct, equation="bdn,bn->bd")
        elif form == "nonlinear":
            y = op("Einsum", op("Tanh", h), ct, equation="bdn,bn->bd")
        outs.append(op("Unsqueeze", y, b.ints(2)))
    return op("Concat", *outs, axis=2), h


def selective8(x, dt, a, bb, c, h, form):
    outs = []
    for t in range(x.shape[2]):
        decay = np.exp(dt[:, :, t, None] * a)
        before, h = h, decay * h + (dt[:, :, t] * x[:, :, t])[..., None] * bb[:, t][:, None]
        of = {"of_before": before, "nonlinear": np.tanh(h)}.get(form, h)
        outs.append(np.einsum("bdn,bn->bd", of, c[:, t]))
    return np.stack(outs, 2), h


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("form", ["matmul", "einsum", "sum", "of_before", "nonlinear"])
@pytest.mark.parametrize("rows", [1, 2])
def test_selective_scan(rows, form, last, tmp_path):
    d, n, steps = 5, 3, 9
    b = Builder(0)
    v = {
        "x": uniform(rows, d, steps), "dt": 0.3 + uniform(rows, d, steps) / 4,
        "a": -np.exp(uniform(d, n)), "b": uniform(rows, steps, n), "c": uniform(rows, steps, n),
        "h": uniform(rows, d, n),
    }  # fmt: skip
    names = [b.input(k, value.shape) for k, value in v.items()]
    y, h = selective(b, names, form, steps)
    want = selective8(*(value.astype("f8") for value in v.values()), form)
    b.output(y, [rows, d, steps])
    if last:
        b.output(h, [rows, d, n])
    # Where the state before the step is read and the last one too, the unrolled steps end with half
    # a one: the scan that they become does not read its inputs in order.
    linear = form != "nonlinear"
    shape = "" if form == "of_before" else f" (tensor<{rows}x{steps}x{n}x{d}xf32>"
    known = linear and not (form == "of_before" and last)
    check(
        b, want[: 1 + last], v, tmp_path,
        op=shape or "lnn.linear_recurrence" if known else None,  # decays, [.., K, V]
        absent="lnn.scan" if known else None if linear else "lnn.linear_recurrence",
    )  # fmt: skip


@pytest.mark.parametrize(
    "form", ["bonus", "inner_bonus", "two_sums", "two_outputs", "norm", "states_too"]
)
def test_several_sums(form, tmp_path):
    """RWKV's state before the step and a bonus for the step's own value; two queries, in one output
    or two, what they are read for gated; a sum divided by another one; states beside a sum.
    """
    rows, heads, n, p, steps = 2, 3, 4, 6, 7
    b = Builder(0)
    v = {
        "k": uniform(rows, steps, heads, n), "v": uniform(rows, steps, heads, p),
        "q": uniform(rows, steps, heads, n), "r": uniform(rows, steps, heads, n),
        "w": 0.5 + uniform(rows, steps, heads, n) / 2, "g": uniform(rows, steps, heads, p),
        "s": uniform(rows, heads, n, p),
    }  # fmt: skip
    inputs = {key: b.input(key, value.shape) for key, value in v.items()}
    v8 = {key: value.astype("f8") for key, value in v.items()}
    bonus = uniform(heads, n)
    op, s, s8, u = b.op, inputs["s"], v8["s"], b.const(bonus)
    outs, wants = [[], []], [[], []]
    one = b.const(3.0)

    def read(state, query):
        return op("Squeeze", op("MatMul", op("Unsqueeze", query, b.ints(2)), state), b.ints(2))

    def read8(state, query):
        return np.einsum("bhn,bhnp->bhp", query, state)

    for t in range(steps):
        k, x, q, r, w, g = (op("Gather", inputs[key], b.const(t, "i8"), axis=1) for key in "kvqrwg")
        k8, x8, q8, r8, w8, g8 = (v8[key][:, t] for key in "kvqrwg")
        outer = op("Mul", op("Unsqueeze", k, b.ints(3)), op("Unsqueeze", x, b.ints(2)))
        outer8 = k8[..., None] * x8[:, :, None]
        before, before8 = s, s8
        s = op("Add", op("Mul", s, op("Unsqueeze", w, b.ints(3))), outer)
        s8 = s8 * w8[..., None] + outer8
        if form == "bonus":
            own = op("ReduceSum", op("Mul", op("Mul", q, u), k), b.ints(2), keepdims=1)
            y = [op("Add", read(before, q), op("Mul", own, x))]
            y8 = [read8(before8, q8) + (q8 * bonus * k8).sum(2, keepdims=True) * x8]
        elif form == "inner_bonus":
            own = op("Mul", outer, op("Unsqueeze", u, b.ints(2)))
            y = [op("Mul", g, read(op("Add", before, own), q))]
            y8 = [g8 * read8(before8 + bonus[..., None] * outer8, q8)]
        elif form == "two_sums":
            y = [op("Mul", op("Sigmoid", g), op("Sub", read(s, q), read(before, r)))]
            y8 = [sigmoid(g8) * (read8(s8, q8) - read8(before8, r8))]
        elif form == "two_outputs":
            y, y8 = [read(s, q), op("Tanh", read(s, r))], [read8(s8, q8), np.tanh(read8(s8, r8))]
        elif form == "norm":
            scale = op("Add", op("Abs", read(s, r)), one)
            y, y8 = [op("Div", read(s, q), scale)], [read8(s8, q8) / (abs(read8(s8, r8)) + 3)]
        else:
            y, y8 = [read(s, q), s], [read8(s8, q8), s8]
        for into, parts in ((outs, [op("Unsqueeze", a, b.ints(1)) for a in y]), (wants, y8)):
            for a, part in zip(into, parts):
                a.append(part)
    want = []
    for out, w8 in zip(outs, wants):
        if out:
            want.append(np.stack(w8, 1))
            b.output(op("Concat", *out, axis=1), want[-1].shape)
    b.output(s, s8.shape)
    known = form != "states_too"
    check(
        b, [*want, s8], v, tmp_path, op="lnn.linear_recurrence" if known else None,
        absent="lnn.scan" if known else "lnn.linear_recurrence",
    )  # fmt: skip


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("form", ["own", "shared", "skip", "two_terms", "hidden"])
@pytest.mark.parametrize("rows", [1, 2])
def test_s4d(rows, form, last, tmp_path):
    """A real diagonal: h' = A h + B x, y = C h for each channel; nothing but x varies in time."""
    d, n, steps = 17, 4, 9
    b = Builder(0)
    v = {"x": uniform(rows, steps, d), "h": uniform(rows, d, n)}
    x, h = (b.input(key, value.shape) for key, value in v.items())
    a, bb, c, skip = 0.5 + uniform(d, n) / 2, uniform(d, n), uniform(d, n), uniform(d)
    if form == "shared":
        bb = uniform(n)
    op, ka, kb, kc, kd = b.op, *(b.const(k) for k in (a, bb, c, skip))
    h8, outs, want = v["h"].astype("f8"), [], []
    for t in range(steps):
        xt, x8 = op("Gather", x, b.const(t, "i8"), axis=1), v["x"][:, t].astype("f8")
        drive, drive8 = op("Mul", op("Unsqueeze", xt, b.ints(2)), kb), x8[..., None] * bb
        if form == "two_terms":
            drive, drive8 = op("Add", drive, kc), drive8 + c
        h, h8 = op("Add", op("Mul", ka, h), drive), a * h8 + drive8
        y, y8 = op("ReduceSum", op("Mul", h, kc), b.ints(2), keepdims=0), (h8 * c).sum(2)
        if form == "skip":
            y, y8 = op("Add", y, op("Mul", kd, xt)), y8 + skip * x8
        if form == "hidden":
            y, y8 = op("Tanh", op("MatMul", y, b.weight(d, d))), y8
            y8 = np.tanh(y8 @ onnx.numpy_helper.to_array(b.constants[-1]).astype("f8"))
        outs.append(op("Unsqueeze", y, b.ints(1)))
        want.append(y8)
    b.output(op("Concat", *outs, axis=1), [rows, steps, d])
    if last:
        b.output(h, [rows, d, n])
    check(
        b, [np.stack(want, 1), h8][: 1 + last], v, tmp_path,
        op="lnn.linear_recurrence" if form != "hidden" else None,
        absent="lnn.scan" if form != "hidden" else None,
    )  # fmt: skip


@pytest.mark.parametrize("behind", [False, True])
def test_heads_with_one_decay(behind, tmp_path):
    """Mamba-2: a state [heads, P, N] each, one decay a head, B and C for all of them."""
    rows, heads, p, n, steps = 2, 3, 6, 5, 7
    b = Builder(0)
    v = {
        "x": uniform(rows, steps, heads, p), "a": 0.5 + uniform(rows, steps, heads) / 2,
        "b": uniform(rows, steps, n), "c": uniform(rows, steps, n),
    }  # fmt: skip
    x, a, bb, c = (b.input(k, value.shape) for k, value in v.items())
    op = b.op
    h, h8 = b.const(np.zeros((rows, heads, p, n))), np.zeros((rows, heads, p, n))
    outs, want, states = [], [], []
    v8 = {k: value.astype("f8") for k, value in v.items()}
    for t in range(steps):
        xt, at, bt, ct = (op("Gather", s, b.const(t, "i8"), axis=1) for s in (x, a, bb, c))
        outer = op("Mul", op("Unsqueeze", xt, b.ints(3)), op("Unsqueeze", bt, b.ints(1, 2)))
        h = op("Add", op("Mul", h, op("Unsqueeze", at, b.ints(2, 3))), outer)
        h8 = v8["a"][:, t, :, None, None] * h8
        h8 = h8 + v8["x"][:, t, ..., None] * v8["b"][:, t, None, None]
        want.append(np.einsum("bhpn,bn->bhp", h8, v8["c"][:, t]))
        if behind:
            states.append(op("Unsqueeze", h, b.ints(1)))
        else:
            y = op("MatMul", h, op("Unsqueeze", ct, b.ints(1, 3)))
            outs.append(op("Squeeze", op("Unsqueeze", y, b.ints(1)), b.ints(4)))
    if behind:
        of = op("Mul", op("Concat", *states, axis=1), op("Unsqueeze", c, b.ints(2, 3)))
        y = op("ReduceSum", of, b.ints(4), keepdims=0)
    else:
        y = op("Concat", *outs, axis=1)
    b.output(y, [rows, steps, heads, p])
    check(
        b, [np.stack(want, 1)], v, tmp_path,
        op=f"tensor<{rows}x{heads}x{n}x{p}xf32>)", absent="lnn.scan",
    )  # fmt: skip


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("form", ["filter", "gated", "sum"])
def test_diagonal(form, direction, tmp_path):
    """h' = h + r (x - h), h' = (1 - z) h + z x with gates of the input, and a plain sum."""
    rows, n, steps = 2, 5, 8
    b = Builder(0)
    v = {
        "x": uniform(rows, steps, n),
        "z": 0.5 + uniform(rows, steps, n) / 2,
        "h": uniform(rows, n),
    }
    x, z, h = (b.input(k, value.shape) for k, value in v.items())
    v8 = {k: value.astype("f8") for k, value in v.items()}
    h8, op, rate, one = v8["h"], b.op, b.const(0.25), b.const(1.0)
    outs, want = [], []
    for t in range(steps) if direction == "forward" else reversed(range(steps)):
        xt, zt = (op("Gather", s, b.const(t, "i8"), axis=1) for s in (x, z))
        x8, z8 = v8["x"][:, t], v8["z"][:, t]
        if form == "filter":
            h, h8 = op("Add", h, op("Mul", rate, op("Sub", xt, h))), h8 + 0.25 * (x8 - h8)
        elif form == "gated":
            h = op("Add", op("Mul", op("Sub", one, zt), h), op("Mul", zt, xt))
            h8 = (1 - z8) * h8 + z8 * x8
        else:
            h, h8 = op("Add", h, op("Mul", zt, xt)), h8 + z8 * x8
        outs.append(op("Unsqueeze", h, b.ints(1)))
        want.append(h8)
    if direction == "backward":
        outs, want = outs[::-1], want[::-1]
    b.output(op("Concat", *outs, axis=1), [rows, steps, n])
    b.output(h, [rows, n])
    check(
        b, [np.stack(want, 1), h8], v, tmp_path,
        op=None if form == "sum" else "lnn.linear_recurrence",
        absent="lnn.linear_recurrence" if form == "sum" else "lnn.scan",
    )  # fmt: skip


def test_recurrence_of_any_length(tmp_path):
    """A Scan of the user's, whose body computes the decay: sizes and length are the call's."""
    n, d = 4, 6
    f = onnx.TensorProto.FLOAT
    nodes = [
        onnx.helper.make_node("Unsqueeze", ["dt", "last"], ["dt1"]),
        onnx.helper.make_node("Mul", ["dt1", "A"], ["dta"]),
        onnx.helper.make_node("Exp", ["dta"], ["decay"]),
        onnx.helper.make_node("Mul", ["decay", "h"], ["kept"]),
        onnx.helper.make_node("Mul", ["dt", "x"], ["dtx"]),
        onnx.helper.make_node("Unsqueeze", ["dtx", "last"], ["v"]),
        onnx.helper.make_node("Unsqueeze", ["b", "middle"], ["k"]),
        onnx.helper.make_node("Mul", ["v", "k"], ["outer"]),
        onnx.helper.make_node("Add", ["kept", "outer"], ["hn"]),
        onnx.helper.make_node("Unsqueeze", ["c", "last"], ["c1"]),
        onnx.helper.make_node("MatMul", ["hn", "c1"], ["y1"]),
        onnx.helper.make_node("Squeeze", ["y1", "last"], ["y"]),
    ]
    info = onnx.helper.make_tensor_value_info
    shapes = {"x": [d], "dt": [d], "b": [n], "c": [n]}
    body = onnx.helper.make_graph(
        nodes, "body",
        [info("h", f, ["B", d, n]), *(info(k, f, ["B", *s]) for k, s in shapes.items())],
        [info("hn", f, ["B", d, n]), info("y", f, ["B", d])],
    )  # fmt: skip
    a = -np.exp(uniform(d, n))
    constants = [
        onnx.numpy_helper.from_array(value, name)
        for name, value in (
            ("A", a), ("last", np.array([2], "i8")), ("middle", np.array([1], "i8")),
        )
    ]  # fmt: skip
    scan = onnx.helper.make_node(
        "Scan", ["H", *(k.upper() + "s" for k in shapes)], ["Hn", "Y"], body=body,
        num_scan_inputs=4, scan_input_axes=[1] * 4, scan_output_axes=[1],
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [scan], "g",
        [info("H", f, ["B", d, n]),
         *(info(k.upper() + "s", f, ["B", "T", *s]) for k, s in shapes.items())],
        [info("Hn", f, ["B", d, n]), info("Y", f, ["B", "T", d])], constants,
    )  # fmt: skip
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model)
    text = raised(model, tmp_path)
    assert "lnn.linear_recurrence" in text and "lnn.scan" not in text
    compiled = [lnnc.compile(model), lnnc.compile(model, raise_cells=False)]
    for rows, steps in ((1, 1), (2, 7), (3, 40)):
        v = {k: uniform(rows, steps, *s) for k, s in shapes.items()}
        v["dt"] = 0.3 + v["dt"] / 4
        h0 = uniform(rows, d, n)
        h, want = h0.astype("f8"), []
        for t in range(steps):
            x, dt, bt, c = (v[k][:, t].astype("f8") for k in shapes)
            h = np.exp(dt[..., None] * a) * h + (dt * x)[..., None] * bt[:, None]
            want.append(np.einsum("bdn,bn->bd", h, c))
        expected = {"Hn": h.astype("f4"), "Y": np.stack(want, 1).astype("f4")}
        for m in compiled:
            assert_close(m.run({"H": h0, **{k.upper() + "s": w for k, w in v.items()}}), expected)


# Causal convolutions -----------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "form, raised_to",
    {
        "both_ends": True,
        "front": True,
        "channels_first": False,  # transposing it would cost more than it gives
        "not_causal": False,
        "short_front": False,
        "dilated": True,
        "strided": False,
        "two_channels_a_group": False,
    }.items(),
)
def test_causal_convolution(form, raised_to, bias, tmp_path):
    rows, channels, steps, taps = 2, 4, 11, 3
    b = Builder(0)
    xs = uniform(rows, steps, channels)
    group = channels // 2 if form == "two_channels_a_group" else channels
    w, beta = uniform(channels, channels // group, taps), uniform(channels)
    if form == "channels_first":
        x = b.input("x", [rows, channels, steps])
        inputs = {"x": np.ascontiguousarray(xs.transpose(0, 2, 1))}
    else:
        x, inputs = b.op("Transpose", b.input("x", xs.shape), perm=[0, 2, 1]), {"x": xs}
    dilation = 2 if form == "dilated" else 1
    front = {"short_front": taps - 2, "dilated": 2 * (taps - 1)}.get(form, taps - 1)
    pads = [front, 0 if form in ("front", "strided") else taps - 1]
    stride = 2 if form == "strided" else 1
    y = b.op(
        "Conv", x, b.const(w), *([b.const(beta)] if bias else []), group=group, pads=pads,
        dilations=[dilation], kernel_shape=[taps], strides=[stride],
    )  # fmt: skip
    length = (steps + sum(pads) - dilation * (taps - 1) - 1) // stride + 1
    begin = 1 if form == "not_causal" else 0
    if form not in ("front", "short_front", "strided"):
        y = b.op("Slice", y, b.ints(begin), b.ints(begin + steps), b.ints(2))
        length = steps
    y = b.op("Transpose", y, perm=[0, 2, 1])
    b.output(y, [rows, length, channels])
    padded = np.pad(xs.astype("f8"), ((0, 0), (front, taps), (0, 0)))
    want = np.zeros((rows, length, channels))
    each = channels // group
    for t in range(length):
        for c in range(channels):
            for i in range(each):
                for j in range(taps):
                    at = padded[:, begin + stride * t + dilation * j, c // each * each + i]
                    want[:, t, c] += float(w[c, i, j]) * at
    want = want + beta.astype("f8") if bias else want
    check(
        b, [want], inputs, tmp_path, op="lnn.causal_conv" if raised_to else None,
        absent=None if raised_to else "lnn.causal_conv",
    )  # fmt: skip


CONVOLUTION, TURNED, AS_IT_IS = "lnn.causal_conv", "channels side by side", "as it is"


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "form, raised_to",
    {
        "shorter": CONVOLUTION,  # the last K - 1 samples
        "whole": CONVOLUTION,  # the last K
        "two_sums": CONVOLUTION,
        "gated": CONVOLUTION,  # of a function of the input
        "recurrent": CONVOLUTION,  # what is summed up drives a linear recurrence
        "by_time": CONVOLUTION,  # channels lie side by side already
        "whole_by_time": CONVOLUTION,
        "fed_back": TURNED,  # the sample depends on another state
        "before": CONVOLUTION,  # the sum is of the samples before the step's
        "cell": None,  # the loop stays for another state, or is two loops
        "backward": TURNED,
        "newest_first": AS_IT_IS,
        "nonlinear": AS_IT_IS,
    }.items(),
)
def test_rolling_window(form, raised_to, last, tmp_path):
    """A causal convolution whose state is the last samples, shifted by one in each step."""
    rows, channels, taps, steps = 2, 5, 4, 9
    whole = form in ("whole", "whole_by_time", "newest_first", "before")
    past, by_time = taps if whole else taps - 1, form.endswith("by_time")
    b = Builder(0)
    along = 1 if by_time else 2
    v = {"x": uniform(rows, steps, channels), "s": uniform(rows, channels, past)}
    if by_time:
        v["s"] = np.ascontiguousarray(v["s"].transpose(0, 2, 1))
    x, s = (b.input(key, value.shape) for key, value in v.items())
    w, other = uniform(channels, taps), uniform(channels, taps)
    kw, ko = b.const(w.T if by_time else w), b.const(other)
    op, gate = b.op, uniform(channels, channels)
    kg, y, y8 = b.const(gate), b.const(np.zeros((rows, channels))), np.zeros((rows, channels))
    h, h8, half = y, y8, b.const(0.5)
    s8 = v["s"].astype("f8")
    s8 = s8.transpose(0, 2, 1) if by_time else s8
    outs, want = [], []
    for t in range(steps)[:: -1 if form == "backward" else 1]:
        xt, x8 = op("Gather", x, b.const(t, "i8"), axis=1), v["x"][:, t].astype("f8")
        if form == "fed_back":
            xt, x8 = op("Add", xt, op("Tanh", op("MatMul", y, kg))), x8 + np.tanh(y8 @ gate)
        if form == "gated":
            xt, x8 = op("Mul", xt, op("Sigmoid", xt)), x8 * sigmoid(x8)
        new = op("Unsqueeze", xt, b.ints(along))
        before, before8 = s, s8
        if form == "newest_first":
            kept = op("Slice", s, b.ints(0), b.ints(past - 1), b.ints(along))
            s = window = op("Concat", new, kept, axis=along)
            s8 = window8 = np.concatenate([x8[..., None], s8[..., :-1]], 2)
        elif whole:
            kept = op("Slice", s, b.ints(1), b.ints(past), b.ints(along))
            s = window = op("Concat", kept, new, axis=along)
            s8 = window8 = np.concatenate([s8[..., 1:], x8[..., None]], 2)
        else:
            window = op("Concat", s, new, axis=along)
            s = op("Slice", window, b.ints(1), b.ints(taps), b.ints(along))
            window8 = np.concatenate([s8, x8[..., None]], 2)
            s8 = window8[..., 1:]
        if form == "before":
            window, window8 = before, before8
        read = op("Tanh", window) if form == "nonlinear" else window
        read8 = np.tanh(window8) if form == "nonlinear" else window8
        y = op("ReduceSum", op("Mul", read, kw), b.ints(along), keepdims=0)
        y8 = (read8 * w).sum(2)
        if form == "two_sums":
            more = op("ReduceSum", op("Mul", ko, read), b.ints(along), keepdims=0)
            y, y8 = op("Mul", y, op("Sigmoid", more)), y8 * sigmoid((other * read8).sum(2))
        if form == "recurrent":
            y = h = op("Add", op("Mul", half, h), op("Sigmoid", y))
            y8 = h8 = 0.5 * h8 + sigmoid(y8)
        if form == "cell":
            y = h = op("Tanh", op("Add", op("MatMul", h, kg), y))
            y8 = h8 = np.tanh(h8 @ gate + y8)
        outs.append(op("Unsqueeze", y, b.ints(1)))
        want.append(y8)
    b.output(op("Concat", *outs, axis=1), [rows, steps, channels])  # in the order of the steps
    if last:
        b.output(s, v["s"].shape)
    end = s8.transpose(0, 2, 1) if by_time else s8
    window = f"tensor<{rows}x{past}x{channels}xf32>"
    op = {CONVOLUTION: CONVOLUTION, TURNED: window}.get(raised_to)
    absent = {CONVOLUTION: "lnn.scan", TURNED: CONVOLUTION, AS_IT_IS: window}.get(raised_to)
    check(b, [np.stack(want, 1), end][: 1 + last], v, tmp_path, op=op, absent=absent)


def test_rolling_window_of_any_length(tmp_path):
    """As a Scan's state, of as many steps as the call has: fewer than taps, none."""
    rows, channels, taps = 2, 5, 4
    info, f = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    w, beta = uniform(channels, taps), uniform(channels)
    body, b = Builder(0), Builder(1)
    new = body.op("Unsqueeze", "xt", body.ints(2))
    kept = body.op("Slice", "s", body.ints(1), body.ints(taps), body.ints(2))
    window = body.op("Concat", kept, new, axis=2)
    y = body.op("ReduceSum", body.op("Mul", window, body.const(w)), body.ints(2), keepdims=0)
    y = body.op("Add", y, body.const(beta))
    state, sample = [rows, channels, taps], [rows, channels]
    graph = onnx.helper.make_graph(
        body.nodes, "body", [info("s", f, state), info("xt", f, sample)],
        [info(window, f, state), info(y, f, sample)], body.constants,
    )  # fmt: skip
    b.input("s0", state)
    b.input("x", ["T", *sample])
    b.nodes.append(
        onnx.helper.make_node("Scan", ["s0", "x"], ["sn", "y"], body=graph, num_scan_inputs=1)
    )
    b.output("y", ["T", *sample])
    b.output("sn", state)
    model = b.model()
    onnx.checker.check_model(model)
    text = raised(model, tmp_path)
    assert "lnn.causal_conv" in text and "lnn.scan" not in text
    compiled = [lnnc.compile(model), lnnc.compile(model, raise_cells=False)]
    for steps in (0, 1, 2, 4, 17):
        x, s = uniform(steps, *sample), uniform(*state)
        whole = np.concatenate([s.astype("f8"), x.transpose(1, 2, 0)], 2)
        y = [(whole[..., t + 1 : t + 1 + taps] * w).sum(2) + beta for t in range(steps)]
        want = {"y0": np.array(y, "f4").reshape(x.shape), "y1": whole[..., steps:].astype("f4")}
        for m in compiled:
            assert_close(m.run({"s0": s, "x": x}), want)
