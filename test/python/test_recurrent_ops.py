"""RNN, GRU and LSTM, all attributes, against a float64 reference written from the equations."""

import itertools

import lnnc
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(5)
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "Tanh": np.tanh,
    "Sigmoid": sigmoid,
    "Relu": lambda x: np.maximum(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "HardSigmoid": lambda x, a=0.2, b=0.5: np.clip(a * x + b, 0, 1),
    "LeakyRelu": lambda x, a=0.01: np.where(x < 0, a * x, x),
    "Elu": lambda x, a=1.0: np.where(x < 0, a * np.expm1(x), x),
    "Affine": lambda x, a=1.0, b=0.0: a * x + b,
    "ScaledTanh": lambda x, a=1.0, b=1.0: a * np.tanh(b * x),
    "ThresholdedRelu": lambda x, a=1.0: np.where(x > a, x, 0),
}


def reference(op, x, w, r, b, lens, h0, c0, p, acts, reverse, lbr, input_forget, clip):
    """One direction, float64. x [T,B,I]; returns y [T,B,H], h, c."""
    T, B, _ = x.shape
    H = r.shape[1]
    wb, rb = b[: GATES[op] * H], b[GATES[op] * H :]
    lim = (lambda v: np.clip(v, -clip, clip)) if clip else (lambda v: v)
    f = [lambda v, a=a: a(lim(v)) for a in acts]
    h, c, ys = h0.copy(), c0.copy(), np.zeros((T, B, H))
    for t in reversed(range(T)) if reverse else range(T):
        g = x[t] @ w.T + wb
        if op == "RNN":
            new = f[0](g + h @ r.T + rb)
        elif op == "GRU":
            z = f[0](g[:, :H] + h @ r[:H].T + rb[:H])
            rr = f[0](g[:, H : 2 * H] + h @ r[H : 2 * H].T + rb[H : 2 * H])
            if lbr:
                n = f[1](g[:, 2 * H :] + rr * (h @ r[2 * H :].T + rb[2 * H :]))
            else:
                n = f[1](g[:, 2 * H :] + (rr * h) @ r[2 * H :].T + rb[2 * H :])
            new = (1 - z) * n + z * h
        else:
            q = g + h @ r.T + rb
            i, o, fg, cc = (q[:, k * H : (k + 1) * H] for k in range(4))
            i = f[0](i + p[:H] * c)
            fg = 1 - i if input_forget else f[0](fg + p[2 * H :] * c)
            nc = fg * c + i * f[1](cc)
            new = f[0](o + p[H : 2 * H] * nc)
            new = new * f[2](nc)
            c = np.where((t < lens)[:, None], nc, c)
        ys[t] = np.where((t < lens)[:, None], new, 0)
        h = np.where((t < lens)[:, None], new, h)
    return ys, h, c


def build(
    op,
    T,
    B,
    inputs,
    H,
    *,
    direction="forward",
    layout=0,
    bias=True,
    lens=False,
    initial=True,
    peepholes=False,
    dtype=np.float32,
    dynamic=False,
    activations=None,
    **attributes,
):
    D = 2 if direction == "bidirectional" else 1
    G = GATES[op]
    elem = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    u = lambda *s: RNG.uniform(-0.6, 0.6, s).astype(dtype)  # noqa: E731
    weights = {"W": u(D, G * H, inputs), "R": u(D, G * H, H)}
    if bias:
        weights["B"] = u(D, 2 * G * H)
    if peepholes:
        weights["P"] = u(D, 3 * H)
    x = u(T, B, inputs)
    feeds = {"X": x if layout == 0 else x.transpose(1, 0, 2).copy()}
    values = {"x": x, **weights}
    state = (D, B, H)
    if lens:
        values["lens"] = feeds["lens"] = RNG.integers(0, T + 1, B).astype(np.int32)
    if initial:
        for name in ["h0"] + (["c0"] if op == "LSTM" else []):
            values[name] = u(*state)
            feeds[name] = values[name] if layout == 0 else values[name].transpose(1, 0, 2).copy()
    names = ["X", "W", "R", "B" if bias else "", "lens" if lens else "", "h0" if initial else ""]
    if op == "LSTM":
        names += ["c0" if initial else "", "P" if peepholes else ""]
    outs = ["Y", "Y_h"] + (["Y_c"] if op == "LSTM" else [])
    kw = dict(hidden_size=H, direction=direction, **attributes)
    if layout:
        kw["layout"] = 1
    if activations:
        kw["activations"] = activations * D
    node = helper.make_node(op, names, outs, name="cell", **kw)

    def dims(name):
        shape = list(feeds[name].shape)
        if dynamic:
            at = {"X": (0, 1), "lens": (None, 0)}.get(name, (None, 1))
            for k, symbol in zip(at, ("time", "batch")):
                if k is not None:
                    shape[(1 - k) if layout and len(shape) == 3 else k] = symbol
        return shape

    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(k, TensorProto.INT32 if k == "lens" else elem, dims(k))
            for k in feeds
        ],
        [helper.make_tensor_value_info(k, elem, None) for k in outs],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, feeds, values


def expected(
    op,
    values,
    *,
    direction="forward",
    layout=0,
    activations=None,
    linear_before_reset=0,
    input_forget=0,
    clip=None,
    activation_alpha=None,
    **_,
):
    x = values["x"].astype("f8")
    T, B, _ = x.shape
    D, _, H = values["R"].shape
    default = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
    acts = [ACTIVATIONS[a] for a in (activations or default[op])]
    ys, hs, cs = [], [], []
    for d in range(D):
        get = lambda k, shape, d=d: values[k][d].astype("f8") if k in values else np.zeros(shape)  # noqa: E731
        y, h, c = reference(
            op,
            x,
            get("W", 0),
            get("R", 0),
            get("B", 2 * GATES[op] * H),
            values.get("lens", np.full(B, T)),
            get("h0", (B, H)),
            get("c0", (B, H)),
            get("P", 3 * H),
            acts,
            direction == "reverse" or d == 1,
            linear_before_reset,
            input_forget,
            clip,
        )
        ys.append(y), hs.append(h), cs.append(c)
    y, h, c = np.stack(ys, 1), np.stack(hs), np.stack(cs)
    if layout:
        y, h, c = y.transpose(2, 0, 1, 3), h.transpose(1, 0, 2), c.transpose(1, 0, 2)
    return [y, h] + ([c] if op == "LSTM" else [])


def check(op, T=5, B=3, inputs=4, H=6, tol=3e-6, **kw):
    model, feeds, values = build(op, T, B, inputs, H, **kw)
    got = lnnc.compile(model).run(feeds)
    kw.pop("dtype", None)
    for name, want in zip(("Y", "Y_h", "Y_c"), expected(op, values, **kw)):
        assert got[name].shape == want.shape
        np.testing.assert_allclose(got[name], want, rtol=tol, atol=tol, err_msg=name)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("lens", [False, True])
def test_directions_and_lengths(op, direction, lens):
    check(op, direction=direction, lens=lens)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("layout,dynamic", list(itertools.product([0, 1], [False, True])))
def test_layout(op, layout, dynamic):
    check(op, layout=layout, dynamic=dynamic, direction="bidirectional")


@pytest.mark.parametrize("op", GATES)
def test_nothing_optional(op):
    check(op, bias=False, initial=False)


@pytest.mark.parametrize("lbr", [0, 1])
@pytest.mark.parametrize("bias", [False, True])
def test_gru_linear_before_reset(lbr, bias):
    check("GRU", linear_before_reset=lbr, bias=bias, H=17)


def test_lstm_peepholes_and_input_forget():
    check("LSTM", peepholes=True)
    check("LSTM", peepholes=True, input_forget=1)


@pytest.mark.parametrize("op", GATES)
def test_clip(op):
    check(op, clip=0.3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    check("RNN", activations=[name])
    check("GRU", activations=["Sigmoid", name])


def test_float64():
    check("LSTM", dtype=np.float64, tol=1e-12)


@pytest.mark.parametrize("op", GATES)
def test_half_precision_is_storage(op):
    check(op, dtype=np.float16, tol=2e-3)


@pytest.mark.parametrize("op", GATES)
def test_zero_steps(op):
    model, feeds, _ = build(op, 4, 2, 3, 5, dynamic=True)
    feeds["X"] = feeds["X"][:0]
    got = lnnc.compile(model).run(feeds)
    assert got["Y"].shape == (0, 1, 2, 5)
    assert np.array_equal(got["Y_h"], feeds["h0"])


@pytest.mark.parametrize(
    "change,message",
    [
        (dict(direction="sideways"), "sideways"),
        (dict(hidden_size=7), "hidden_size"),
        (dict(activations=["Tanh"]), "activations"),
        (dict(activations=["Sigmoid", "Wobble"]), "Wobble"),
    ],
)
def test_bad_attributes(change, message):
    model, _, _ = build("GRU", 2, 1, 3, 5)
    node = model.graph.node[0]
    for key, value in change.items():
        for a in [a for a in node.attribute if a.name == key]:
            node.attribute.remove(a)
        node.attribute.append(helper.make_attribute(key, value))
    with pytest.raises(lnnc.CompileError, match=message):
        lnnc.compile(model)
