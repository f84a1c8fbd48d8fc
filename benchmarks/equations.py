"""Cells written from their equations, for peers that take programs instead of ONNX files.

`build` reads the parameters out of a model's file and returns a function of its inputs, in terms of
a `Library`: what JAX and PyTorch have in common, and a scan over time.
"""

import dataclasses
import typing

import numpy as np


@dataclasses.dataclass
class Library:
    """`np` has NumPy's functions, `permute` reorders axes; `scan(step, state, sequences)` gives
    (state, outputs), time first, where `step(state, values)` does; `array` makes the library's
    constant of a NumPy array.
    """

    np: typing.Any
    sigmoid: typing.Callable
    permute: typing.Callable
    scan: typing.Callable
    array: typing.Callable


def parameters(path):
    """Initializers under the last parts of their names: `r.rnn_cell.ff1.weight` is `ff1.weight`."""
    import onnx

    graph = onnx.load(path).graph
    found = {}
    for value in graph.initializer:
        name = value.name
        for prefix in ("r.rnn_cell.", "cell.", "c."):
            name = name.removeprefix(prefix)
        found[name] = onnx.numpy_helper.to_array(value)
    for node in graph.node:
        if node.op_type in ("GRU", "LSTM"):
            found |= {key: found[name][0] for key, name in zip("WRB", node.input[1:4])}
        if (
            node.op_type == "Softplus"
        ):  # a parameter kept positive: its value is the constrained one
            name = node.input[0].rsplit(".", 1)[-1]
            found[name] = np.logaddexp(found[name], np.float32(0))
    return found


def build(model, library):
    """A function of the model's inputs (by name) that returns its outputs (in its order)."""
    kind, layout = model.form.split()
    make = {"ltc": ltc, "cfc": cfc, "gru": gru, "lstm": lstm}[kind]
    step = make(parameters(model.path), library)
    if kind in ("gru", "lstm"):
        return layer(model, step, library)
    if layout == "step":
        return lambda x, h, ts: step(h, (x, ts))[::-1]
    axes = (1, 0, 2) if layout == "batch-first" else (0, 1, 2)
    dt = "dt" if "dt" in model.inputs else "timespans"

    def run(**inputs):
        sequences = tuple(library.permute(inputs[name], axes) for name in ("x", dt))
        state, outputs = library.scan(step, inputs["h0"], sequences)
        return library.permute(outputs, axes), state

    return run


def layer(model, step, library):
    """A recurrent layer in one direction: ONNX's operator with all that it returns, or PyTorch's
    exported layer, which starts from zeros and returns the sequence alone."""
    whole = "h0" in model.inputs

    def run(**inputs):
        x = inputs["x"]
        if whole:
            state = tuple(inputs[name][0] for name in ("h0", "c0") if name in inputs)
        else:
            state = (library.np.zeros((x.shape[1], step.units)),) * step.states
        state, y = library.scan(lambda s, v: step(s, v[0]), state, (x,))
        return (y[:, None], *(s[None] for s in state)) if whole else (y,)

    return run


def ltc(p, library, unfolds=6):
    """Liquid time-constant cell (Hasani et al. 2021): semi-implicit Euler steps, fused."""
    array, np_, sigmoid = library.array, library.np, library.sigmoid

    def synapses(prefix):
        sigma, mu = array(p[f"{prefix}sigma"]), array(p[f"{prefix}mu"])
        weights = p[f"{prefix}w"] * p[f"{prefix}sparsity_mask"]
        active, driven = array(weights), array(weights * p[f"{prefix}erev"])

        def sums(v):
            gate = sigmoid(sigma * (v[:, :, None] - mu))
            return np_.sum(gate * driven, 1), np_.sum(gate * active, 1)

        return sums

    sensory, recurrent = synapses("sensory_"), synapses("")
    units = p["cm"].shape[0]
    if "vleak" in p:
        current = p["gleak"] * p["vleak"]
    else:  # exporters fold the product of the two
        known = {"gleak", "cm", "input_w", "input_b", "output_w", "output_b"}
        current = next(v for k, v in p.items() if k not in known and v.shape == (units,))
    gleak, cm, current = array(p["gleak"]), array(p["cm"]), array(current)
    maps = {k: array(p[k]) for k in ("input_w", "input_b", "output_w", "output_b") if k in p}

    def step(h, values):
        x, dt = values
        if maps:
            x = x * maps["input_w"] + maps["input_b"]
        top_in, bottom_in = sensory(x)
        capacity = cm / (dt / unfolds)
        for _ in range(unfolds):
            top, bottom = recurrent(h)
            top = capacity * h + current + (top + top_in)
            h = top / (capacity + gleak + (bottom + bottom_in) + 1e-8)
        if not maps:
            return h, h
        motors = maps["output_w"].shape[0]
        return h, h[:, :motors] * maps["output_w"] + maps["output_b"]

    return step


def cfc(p, library):
    """Closed-form continuous-time cell (Hasani et al. 2022), with a backbone."""
    array, np_, sigmoid = library.array, library.np, library.sigmoid

    def dense(name):
        weight, bias = array(p[f"{name}.weight"].T.copy()), array(p[f"{name}.bias"])
        return lambda x: x @ weight + bias

    trunk, ff1, ff2, a, b = map(dense, ("backbone.0", "ff1", "ff2", "time_a", "time_b"))

    def step(h, values):
        x, dt = values
        z = 1.7159 * np_.tanh(0.666 * trunk(np_.concatenate((x, h), 1)))
        t = sigmoid(a(z) * dt + b(z))
        h = np_.tanh(ff1(z)) * (1 - t) + t * np_.tanh(ff2(z))
        return h, h

    return step


def gru(p, library):
    """ONNX's GRU with `linear_before_reset`, which is PyTorch's and cuDNN's; gates z, r, n."""
    np_, sigmoid, units = library.np, library.sigmoid, p["R"].shape[1]
    w, r = library.array(p["W"].T.copy()), library.array(p["R"].T.copy())
    wb, rb = library.array(p["B"][: 3 * units]), library.array(p["B"][3 * units :])

    def step(state, x):
        (h,) = state
        inner, own = x @ w + wb, h @ r + rb
        z = sigmoid(inner[:, :units] + own[:, :units])
        reset = sigmoid(inner[:, units : 2 * units] + own[:, units : 2 * units])
        n = np_.tanh(inner[:, 2 * units :] + reset * own[:, 2 * units :])
        h = (1 - z) * n + z * h
        return (h,), h

    step.units, step.states = units, 1
    return step


def lstm(p, library):
    """ONNX's LSTM; gates i, o, f, c."""
    np_, sigmoid, units = library.np, library.sigmoid, p["R"].shape[1]
    w, r = library.array(p["W"].T.copy()), library.array(p["R"].T.copy())
    bias = library.array(p["B"][: 4 * units] + p["B"][4 * units :])

    def step(state, x):
        h, c = state
        gates = x @ w + h @ r + bias
        i, o, f = (sigmoid(gates[:, k * units : (k + 1) * units]) for k in range(3))
        c = f * c + i * np_.tanh(gates[:, 3 * units :])
        h = o * np_.tanh(c)
        return (h, c), h

    step.units, step.states = units, 2
    return step
