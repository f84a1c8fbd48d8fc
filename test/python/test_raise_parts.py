"""Recurrences whose state has two parts that mix: complex diagonals and oscillators, as they are
exported where there are no complex numbers; against complex NumPy in double precision.
"""

import lnnc
import numpy as np
import onnx
import pytest
from conftest import assert_close
from onnx import helper
from test_raise import check, raised, sigmoid, uniform
from unrolled import Builder

FLOAT = onnx.TensorProto.FLOAT


def joined(layout, re, im):
    """The states that a layout has for real and imaginary parts."""
    if layout == "trailing":
        return [np.stack([re, im], -1)]
    if layout == "leading":
        return [np.stack([re, im], 0)]
    return [np.concatenate([re, im], -1)] if layout == "halves" else [re, im]


def take_apart(b, layout, states, rank):
    if layout in ("trailing", "leading"):
        axis = rank if layout == "trailing" else 0
        return [b.op("Gather", *states, b.const(i, "i8"), axis=axis) for i in (0, 1)]
    return b.op("Split", *states, axis=rank - 1, count=2) if layout == "halves" else states


def put_together(b, layout, re, im, rank):
    if layout in ("trailing", "leading"):
        axis = rank if layout == "trailing" else 0
        both = [b.op("Unsqueeze", v, b.ints(axis)) for v in (re, im)]
        return [b.op("Concat", *both, axis=axis)]
    return [b.op("Concat", re, im, axis=rank - 1)] if layout == "halves" else [re, im]


def times(b, a_re, a_im, re, im):
    """A product of complex numbers."""
    op = b.op
    return (
        op("Sub", op("Mul", a_re, re), op("Mul", a_im, im)),
        op("Add", op("Mul", a_re, im), op("Mul", a_im, re)),
    )


class S4d:
    """h' = A h + B u, y = 2 Re(C h) + D u of each channel, with a few real modes a channel."""

    def __init__(self, rows, d, n, form):
        self.rows, self.d, self.n, self.form = rows, d, n, form
        dt = np.exp(np.random.default_rng(d).uniform(np.log(0.01), np.log(0.3), (d, 1)))
        self.a = np.exp(dt * (-0.5 + 1j * np.pi * np.arange(n))).astype("c8")
        self.b = (uniform(d, n) + 1j * uniform(d, n) * (form != "real_input")).astype("c8")
        self.c, self.skip = (uniform(d, n) + 1j * uniform(d, n)).astype("c8"), uniform(d)

    def initial(self):
        return uniform(self.rows, self.d, self.n), uniform(self.rows, self.d, self.n)

    def constants(self, b):
        parts = [part for v in (self.a, self.b, self.c) for part in (v.real, v.imag)]
        self.names = [b.const(v) for v in (*parts, self.skip, 2.0)]

    def step(self, b, u, re, im):
        op, (ar, ai, br, bi, cr, ci, skip, two) = b.op, self.names
        wide = op("Unsqueeze", u, b.ints(2))
        if self.form == "of_state":  # a decay that the state turns
            ai = op("Mul", ai, op("Tanh", re))
        new_re, new_im = times(b, ar, ai, re, im)
        re = op("Add", new_re, op("Mul", br, wide))
        im = new_im if self.form == "real_input" else op("Add", new_im, op("Mul", bi, wide))
        if self.form == "two_sums":
            y = op("Einsum", re, cr, equation="bdn,dn->bd")
            y = op("Sub", y, op("Einsum", im, ci, equation="bdn,dn->bd"))
        else:
            y, _ = times(b, cr, ci, re, im)
            y = op("ReduceSum", y, b.ints(2), keepdims=0)
        return op("Add", op("Mul", two, y), op("Mul", skip, u)), re, im

    def run(self, us, re, im):
        h, ys = re.astype("f8") + 1j * im, []
        for u in us.astype("f8"):
            a = self.a.astype("c16")
            if self.form == "of_state":
                a = a.real + 1j * a.imag * np.tanh(h.real)
            h = a * h + self.b.astype("c16") * u[..., None]
            ys.append(2 * (h * self.c).real.sum(-1) + self.skip * u)
        return np.stack(ys), h


def scan(b, body, inputs, states, outputs, next_states, sizes):
    """A Scan over the first dimension of `inputs`; `sizes` has each name's shape in the body."""
    info = lambda name: helper.make_tensor_value_info(name, FLOAT, sizes[name])  # noqa: E731
    step = [f"{name}_t" for name in inputs]
    graph = helper.make_graph(
        body.nodes, "body", [info(f"{s}_t") for s in (*states, *inputs)],
        [info(name) for name in (*next_states, *outputs)], body.constants,
    )  # fmt: skip
    results = [f"r{i}" for i in range(len(states) + len(outputs))]
    b.nodes.append(
        helper.make_node(
            "Scan", [*states, *inputs], results, "scan", body=graph, num_scan_inputs=len(step)
        )
    )
    return results


@pytest.mark.parametrize("layout", ["two", "trailing", "leading", "halves"])
@pytest.mark.parametrize("form", ["complex", "real_input", "two_sums", "of_state"])
@pytest.mark.parametrize("rows, exported", [(1, "unrolled"), (2, "scan"), (3, "unrolled")])
def test_s4d(rows, exported, form, layout, tmp_path):
    d, n, steps = 17, 4, 9
    cell, b = S4d(rows, d, n, form), Builder(0)
    re, im = cell.initial()
    us, starts = uniform(steps, rows, d), joined(layout, re, im)
    v = {"u": us, **{f"h{i}": s for i, s in enumerate(starts)}}
    u, *states = (b.input(name, value.shape) for name, value in v.items())
    if exported == "unrolled":
        cell.constants(b)
        outs = []
        for t in range(steps):
            ut = b.op("Gather", u, b.const(t, "i8"), axis=0)
            y, *parts = cell.step(b, ut, *take_apart(b, layout, states, 3))
            states = put_together(b, layout, *parts, 3)
            outs.append(b.op("Unsqueeze", y, b.ints(0)))
        y = b.op("Concat", *outs, axis=0)
    else:
        body = Builder(1)
        cell.constants(body)
        inner = [f"{name}_t" for name in states]
        y, *parts = cell.step(body, "u_t", *take_apart(body, layout, inner, 3))
        after = put_together(body, layout, *parts, 3)
        sizes = {"u_t": [rows, d], y: [rows, d]}
        sizes |= {name: s.shape for names in (inner, after) for name, s in zip(names, starts)}
        *states, y = scan(b, body, ["u"], states, [y], after, sizes)
    b.output(y, us.shape)
    want, h = cell.run(us, re, im)
    for name, start in zip(states, starts):
        b.output(name, start.shape)
    # From the first step on, states that are exported apart are one loop's.
    known = form != "of_state"
    check(
        b, [want, *joined(layout, h.real, h.imag)], v, tmp_path,
        op=f"tensor<{rows}x{n}x{d}xf32>)" if known else None,
        absent="lnn.scan" if known else "lnn.linear_recurrence",
    )  # fmt: skip


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("layout", ["two", "trailing", "leading", "halves"])
def test_every_state(layout, direction, tmp_path):
    """The states of a linear recurrent unit whose input decides how far they turn."""
    rows, n, steps = 2, 6, 8
    b = Builder(0)
    v = {name: uniform(rows, steps, n) for name in ("a", "w", "x")}
    re, im = uniform(rows, n), uniform(rows, n)
    starts = joined(layout, re, im)
    v |= {f"h{i}": s for i, s in enumerate(starts)}
    a, w, x, *states = (b.input(name, value.shape) for name, value in v.items())
    h, want, outs = re.astype("f8") + 1j * im, [], []
    order = range(steps) if direction == "forward" else range(steps)[::-1]
    for t in order:
        at, wt, xt = (b.op("Gather", s, b.const(t, "i8"), axis=1) for s in (a, w, x))
        new_re, new_im = times(b, at, wt, *take_apart(b, layout, states, 2))
        states = put_together(b, layout, b.op("Add", new_re, xt), new_im, 2)
        h = (v["a"][:, t] + 1j * v["w"][:, t].astype("f8")) * h + v["x"][:, t]
        outs.append([b.op("Unsqueeze", s, b.ints(1)) for s in states])
        want.append([s[:, None] for s in joined(layout, h.real, h.imag)])
    if direction == "backward":
        outs, want = outs[::-1], want[::-1]
    wants = [np.concatenate(parts, 1) for parts in zip(*want)]
    for parts, value in zip(zip(*outs), wants):
        b.output(b.op("Concat", *parts, axis=1), value.shape)
    # States apart are re-rolled half a step apart, with the input before as a third one.
    known = layout != "two"
    check(
        b, wants, v, tmp_path, op="lnn.linear_recurrence" if known else None,
        absent="lnn.scan" if known else None,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["linear", "hidden", "before"])
@pytest.mark.parametrize("layout", ["real", "two", "trailing", "halves"])
@pytest.mark.parametrize("rows", [1, 3])
def test_linear_recurrent_unit(rows, layout, form, tmp_path):
    """h' = L h + B u, y = Re(C h) + D u: products with matrices are ones of all steps."""
    d, n, steps = 5, 6, 9
    size = 0.5 + np.abs(uniform(n)) / 2
    decay = (size * np.exp(1j * uniform(n) * (layout != "real"))).astype("c8")
    bb, c = (uniform(d, n) + 1j * uniform(d, n)).astype("c8"), (uniform(n, d) + 1j * uniform(n, d))
    c, skip, hidden = c.astype("c8"), uniform(d), uniform(d, d)
    b, body = Builder(0), Builder(1)
    op, const = body.op, body.const
    re, im = uniform(rows, n), uniform(rows, n)
    real = layout == "real"
    starts = [re] if real else joined(layout, re, im)
    us = uniform(steps, rows, d)
    u = b.input("u", us.shape)
    states = [b.input(f"h{i}", s.shape) for i, s in enumerate(starts)]
    inner = [f"{name}_t" for name in states]
    ut = op("Tanh", op("MatMul", "u_t", const(hidden))) if form == "hidden" else "u_t"
    drive = [op("MatMul", ut, const(part)) for part in (bb.real, bb.imag)]
    if real:
        old = inner
        after = parts = [op("Add", op("Mul", const(decay.real), inner[0]), drive[0])]
    else:
        old = take_apart(body, layout, inner, 2)
        new = times(body, const(decay.real), const(decay.imag), *old)
        parts = [op("Add", v, w) for v, w in zip(new, drive)]
        after = put_together(body, layout, *parts, 2)
    read = old if form == "before" else parts
    if form == "hidden":
        read = [op("Sigmoid", part) for part in read]
    y = op("MatMul", read[0], const(c.real))
    if not real:
        y = op("Sub", y, op("MatMul", read[1], const(c.imag)))
    y = op("Add", y, op("Mul", const(skip), "u_t"))
    sizes = {"u_t": [rows, d], y: [rows, d]}
    sizes |= {name: s.shape for names in (inner, after) for name, s in zip(names, starts)}
    *last, y = scan(b, body, [u], states, [y], after, sizes)
    b.output(y, us.shape)
    for name, start in zip(last, starts):
        b.output(name, start.shape)
    h, want = re.astype("f8") + (0 if real else 1j * im), []
    for u8 in us.astype("f8"):
        before, v8 = h, np.tanh(u8 @ hidden) if form == "hidden" else u8
        h = decay.astype("c16") * h + v8 @ (bb.real if real else bb)
        of = before if form == "before" else h
        if form == "hidden":
            of = sigmoid(of.real) + 1j * sigmoid(of.imag)
        want.append((of @ c).real if not real else of.real @ c.real)
        want[-1] = want[-1] + skip * u8
    ends = [h.real] if real else joined(layout, h.real, h.imag)
    known = form != "before"
    check(
        b, [np.stack(want), *ends], {"u": us, **dict(zip(states, starts))}, tmp_path,
        op="lnn.linear_recurrence" if known else None,
        absent="lnn.scan" if known else "lnn.linear_recurrence",
    )  # fmt: skip


@pytest.mark.parametrize("coupled", ["two", "three"])
def test_oscillator(coupled, tmp_path):
    """z' = z + dt (b u - k x), x' = x + dt z': four decays of two parts; a third state stays."""
    n, steps, dt = 5, 12, 0.25
    b = Builder(0)
    v = {"u": uniform(steps, n), "z": uniform(n), "x": uniform(n)}
    u, z, x = (b.input(name, value.shape) for name, value in v.items())
    k, gain, op, rate = 0.5 + uniform(n) / 2, uniform(n), b.op, b.const(dt)
    kk, kg = b.const(k), b.const(gain)
    z8, x8, s8 = v["z"].astype("f8"), v["x"].astype("f8"), np.zeros(n)
    s, outs, want = b.const(np.zeros(n)), [], []
    for t in range(steps):
        ut = op("Gather", u, b.const(t, "i8"), axis=0)
        force, force8 = op("Sub", op("Mul", kg, ut), op("Mul", kk, x)), gain * v["u"][t] - k * x8
        if coupled == "three":
            force, force8 = op("Sub", force, op("Mul", kg, s)), force8 - gain * s8
        z, z8 = op("Add", z, op("Mul", rate, force)), z8 + dt * force8
        x, x8 = op("Add", x, op("Mul", rate, z)), x8 + dt * z8
        if coupled == "three":
            s, s8 = op("Add", s, op("Mul", rate, x)), s8 + dt * x8
        outs.append(op("Unsqueeze", x, b.ints(0)))
        want.append(x8)
    b.output(op("Concat", *outs, axis=0), [steps, n])
    known = coupled == "two"
    check(
        b, [np.stack(want)], v, tmp_path, op="lnn.linear_recurrence" if known else None,
        absent="lnn.scan" if known else "lnn.linear_recurrence",
    )  # fmt: skip


@pytest.mark.parametrize("layout", ["two", "trailing"])
def test_any_size(layout, tmp_path):
    """Rows and steps are the call's, none of either too."""
    d, n = 17, 3
    cell, b, body = S4d("B", d, n, "complex"), Builder(0), Builder(1)
    cell.constants(body)
    state = ["B", d, n] + [2] * (layout == "trailing")
    states = [b.input(f"h{i}", state) for i in range(1 if layout == "trailing" else 2)]
    b.input("u", ["T", "B", d])
    inner = [f"{name}_t" for name in states]
    y, *parts = cell.step(body, "u_t", *take_apart(body, layout, inner, 3))
    after = put_together(body, layout, *parts, 3)
    sizes = {"u_t": ["B", d], y: ["B", d], **dict.fromkeys([*inner, *after], state)}
    *last, y = scan(b, body, ["u"], states, [y], after, sizes)
    b.output(y, ["T", "B", d])
    for name in last:
        b.output(name, state)
    model = b.model()
    onnx.checker.check_model(model)
    text = raised(model, tmp_path)
    assert "lnn.linear_recurrence" in text and "lnn.scan" not in text
    compiled = [lnnc.compile(model), lnnc.compile(model, raise_cells=False)]
    for rows, steps in ((1, 1), (2, 7), (3, 12), (2, 0)):
        us, re, im = uniform(steps, rows, d), uniform(rows, d, n), uniform(rows, d, n)
        want, h = cell.run(us, re, im) if steps else (us, re + 1j * im)
        outputs = [want, *joined(layout, h.real, h.imag)]
        want = {f"y{i}": np.asarray(w, "f4") for i, w in enumerate(outputs)}
        starts = {f"h{i}": s for i, s in enumerate(joined(layout, re, im))}
        for m in compiled:
            assert_close(m.run({"u": us, **starts}), want)
