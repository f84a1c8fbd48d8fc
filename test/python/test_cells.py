"""Cells of the lnn dialect, compiled from text and compared with float64 references written from
the equations.
"""

import lnnc
import numpy as np
import pytest
from conftest import error, zoo_path, zoo_sets

TOLERANCE = 5e-6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def constant(value):
    """MLIR's text of an f32 tensor constant, bit for bit."""
    value = np.ascontiguousarray(value, "f4")
    shape = "x".join(map(str, value.shape))
    return f'dense<"0x{value.tobytes().hex().upper()}"> : tensor<{shape}xf32>'


def wiring(mask):
    """MLIR's text of a wiring, one receiver at a time."""
    rows = ", ".join(f"{i}: [{', '.join(map(str, np.flatnonzero(r)))}]" for i, r in enumerate(mask))
    return f"<{mask.shape[0]} x {mask.shape[1]}, {{{rows}}}>"


def run(arguments, results, body, weights, inputs):
    """Compiles @main of these arguments and results, {name: type}, and runs it; weights are
    constants.
    """
    lines = [f"%{k} = arith.constant {constant(v)}" for k, v in weights.items()]
    args = ", ".join(f'%{k}: {t} {{lnn.name = "{k}"}}' for k, t in arguments.items())
    outs = ", ".join(f'{t} {{lnn.name = "{k}"}}' for k, t in results.items())
    ret = ", ".join(f"%{k}" for k in results)
    types = ", ".join(results.values())
    text = (
        f"func.func @main({args}) -> ({outs}) {{\n  "
        + "\n  ".join([*lines, body, f"return {ret} : {types}"])
        + "\n}\n"
    )
    return lnnc.compile(text).run({k: np.asarray(v, "f4") for k, v in inputs.items()})


def check(got, want, tolerance=TOLERANCE):
    for name, value in want.items():
        e = error(got[name], np.asarray(value, "f4"))
        assert e <= tolerance, (name, e)


def f4(rng, low, high, *shape):
    """Uniform f32 values, as float64."""
    return rng.uniform(low, high, shape).astype("f4").astype("f8")


def durations(rng, kind, batch, size):
    """A duration's type and value."""
    if kind == "scalar":
        return "f32", None
    shape, text = {"sample": ((batch, 1), "?x1"), "neuron": ((batch, size), f"?x{size}")}[kind]
    return f"tensor<{text}xf32>", f4(rng, 0.1, 1.0, *shape)


SIZES = [(1, 5, 3, "scalar"), (5, 19, 7, "sample"), (5, 33, 16, "sample"), (1, 16, 1, "neuron")]


def masks(rng, kind, n, i):
    if kind == "dense":
        return np.ones((n, n)), np.ones((i, n))
    if kind == "empty":
        return np.zeros((n, n)), rng.uniform(size=(i, n)) < 0.5
    return rng.uniform(size=(n, n)) < 0.2, rng.uniform(size=(i, n)) < 0.4


@pytest.mark.parametrize("batch,n,i,kind", SIZES)
@pytest.mark.parametrize("wires", ["dense", "sparse", "empty"])
def test_ltc(batch, n, i, kind, wires):
    rng = np.random.default_rng(n)
    rec, sens = masks(rng, wires, n, i)
    p = {
        "w": f4(rng, 0.01, 1, n, n),
        "sigma": f4(rng, 3, 8, n, n),
        "mu": f4(rng, 0.3, 0.8, n, n),
        "erev": f4(rng, -1, 1, n, n),
        "sw": f4(rng, 0.01, 1, i, n),
        "ss": f4(rng, 3, 8, i, n),
        "sm": f4(rng, 0.3, 0.8, i, n),
        "se": f4(rng, -1, 1, i, n),
        "cm": f4(rng, 0.4, 0.6, n),
        "gleak": f4(rng, 0.001, 1, n),
        "vleak": f4(rng, -0.2, 0.2, n),
    }
    h, x = f4(rng, -1, 1, batch, n), f4(rng, -1, 1, batch, i)
    dt_type, dt = durations(rng, kind, batch, n)
    args = {"h": f"tensor<?x{n}xf32>", "x": f"tensor<?x{i}xf32>"}
    inputs, prefix = {"h": h, "x": x}, ""
    if dt is None:
        dt, prefix = 0.75, "%dt = arith.constant 0.75 : f32\n  "
    else:
        args["dt"] = dt_type
        inputs["dt"] = dt
    body = (
        f"{prefix}%y = lnn.ltc %h, %x for %dt unfolds 6 "
        f"recurrent(%w, %sigma, %mu, %erev wired {wiring(rec)}) "
        f"sensory(%sw, %ss, %sm, %se wired {wiring(sens)}) neurons(%cm, %gleak, %vleak) "
        f": {args['h']}, {args['x']}, {dt_type}"
    )
    got = run(args, {"y": args["h"]}, body, p, inputs)

    def synapses(v, w, sigma, mu, erev, mask):
        g = w * mask * sigmoid(sigma * (v[:, :, None] - mu))
        return (g * erev).sum(1), g.sum(1)

    num_s, den_s = synapses(x, p["sw"], p["ss"], p["sm"], p["se"], sens)
    cm = p["cm"] / (np.asarray(dt) / 6)
    for _ in range(6):
        num, den = synapses(h, p["w"], p["sigma"], p["mu"], p["erev"], rec)
        h = (cm * h + p["gleak"] * p["vleak"] + num + num_s) / (
            cm + p["gleak"] + den + den_s + 1e-8
        )
    check(got, {"y": h})


@pytest.mark.parametrize("batch,n,i,kind", SIZES)
@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_cfc(batch, n, i, kind, mode):
    rng = np.random.default_rng(n)
    f = i + 4
    mask = rng.uniform(size=(f, n)) < 0.5
    p = {k: f4(rng, -1, 1, f, n) for k in ("w1", "w2", "wa", "wb")}
    p |= {k: f4(rng, -1, 1, n) for k in ("b1", "b2", "ba", "bb", "tau", "a")}
    x = f4(rng, -1, 1, batch, f)
    dt_type, dt = durations(rng, kind, batch, n)
    args, inputs, prefix = {"x": f"tensor<?x{f}xf32>"}, {"x": x}, ""
    if dt is None:
        dt, prefix = 0.75, "%dt = arith.constant 0.75 : f32\n  "
    else:
        args["dt"], inputs["dt"] = dt_type, dt
    operands = (
        "tau(%tau, %a)" if mode == "pure" else "ff2(%w2, %b2) time_a(%wa, %ba) time_b(%wb, %bb)"
    )
    out = f"tensor<?x{n}xf32>"
    body = (
        f"{prefix}%y = lnn.cfc %x for %dt mode {mode} ff1(%w1, %b1) {operands} "
        f"wired {wiring(mask)} : {args['x']}, {dt_type} -> {out}"
    )
    got = run(args, {"y": out}, body, p, inputs)
    ff1 = x @ (p["w1"] * mask) + p["b1"]
    if mode == "pure":
        want = -p["a"] * np.exp(-dt * (np.abs(p["tau"]) + np.abs(ff1))) * ff1 + p["a"]
    else:
        ff1, ff2 = np.tanh(ff1), np.tanh(x @ (p["w2"] * mask) + p["b2"])
        t = sigmoid((x @ p["wa"] + p["ba"]) * dt + x @ p["wb"] + p["bb"])
        want = ff1 + t * ff2 if mode == "no_gate" else ff1 * (1 - t) + t * ff2
    check(got, {"y": want})


@pytest.mark.parametrize("batch,n,i,kind", SIZES)
@pytest.mark.parametrize("scheme", ["euler", "semi_implicit", "exponential_euler", "rk4"])
def test_ctrnn(batch, n, i, kind, scheme):
    rng = np.random.default_rng(n)
    rec, sens = masks(rng, "sparse", n, i)
    p = {
        "w": f4(rng, -1, 1, i, n),
        "r": f4(rng, -1, 1, n, n),
        "tau": f4(rng, 0.5, 2, n),
        "b": f4(rng, -1, 1, n),
    }
    h, u = f4(rng, -1, 1, batch, n), f4(rng, -1, 1, batch, i)
    dt_type, dt = durations(rng, kind, batch, n)
    args = {"h": f"tensor<?x{n}xf32>", "u": f"tensor<?x{i}xf32>"}
    inputs, prefix = {"h": h, "u": u}, ""
    if dt is None:
        dt, prefix = 0.75, "%dt = arith.constant 0.75 : f32\n  "
    else:
        args["dt"], inputs["dt"] = dt_type, dt
    body = (
        f"{prefix}%y = lnn.ctrnn %h, %u for %dt method #ode.method<{scheme}, steps = 4> "
        f"activation tanh input(%w wired {wiring(sens)}) recurrent(%r wired {wiring(rec)}) "
        f"neurons(%tau, %b) : {args['h']}, {args['u']}, {dt_type}"
    )
    got = run(args, {"y": args["h"]}, body, p, inputs)
    d = np.asarray(dt) / 4

    def drive(s):
        return np.tanh(u @ (p["w"] * sens) + s @ (p["r"] * rec) + p["b"])

    def slope(s):
        return (drive(s) - s) / p["tau"]

    for _ in range(4):
        if scheme == "euler":
            h = h + d * slope(h)
        elif scheme == "semi_implicit":
            h = (p["tau"] / d * h + drive(h)) / (p["tau"] / d + 1)
        elif scheme == "exponential_euler":
            e = np.exp(-d / p["tau"])
            h = e * h + (1 - e) * drive(h)
        else:
            k1 = slope(h)
            k2 = slope(h + d / 2 * k1)
            k3 = slope(h + d / 2 * k2)
            k4 = slope(h + d * k3)
            h = h + d / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    check(got, {"y": h})


@pytest.mark.parametrize("batch,n,i,kind", SIZES)
def test_feedback(batch, n, i, kind):
    rng = np.random.default_rng(n)
    mask = rng.uniform(size=(n, i)) < 0.5
    f, x, h = f4(rng, -1, 1, n, i), f4(rng, -1, 1, batch, i), f4(rng, -1, 1, batch, n)
    types = {"x": f"tensor<?x{i}xf32>", "h": f"tensor<?x{n}xf32>"}
    body = f"%y = lnn.feedback %x, %h through %f wired {wiring(mask)} : {types['x']}, {types['h']}"
    got = run(types, {"y": types["x"]}, body, {"f": f}, {"x": x, "h": h})
    check(got, {"y": x + h @ (f * mask)})


@pytest.mark.parametrize("batch,n,m,kind", SIZES)
def test_trajectory(batch, n, m, kind):
    rng = np.random.default_rng(n)
    memory, h, tau = f4(rng, -1, 1, batch, m, n), f4(rng, -1, 1, batch, n), f4(rng, 0.1, 9, m)
    dt_type, dt = durations(rng, kind, batch, n)
    args = {"m": f"tensor<?x{m}x{n}xf32>", "h": f"tensor<?x{n}xf32>"}
    inputs, prefix = {"m": memory, "h": h}, ""
    if dt is None:
        dt, prefix = np.full((1, 1), 0.75), "%dt = arith.constant 0.75 : f32\n  "
    else:
        args["dt"], inputs["dt"] = dt_type, dt
    types = f"{args['m']}, {args['h']}, {dt_type}"
    body = f"{prefix}%y = lnn.trajectory %m, %h for %dt tau(%tau) : {types}"
    got = run(args, {"y": args["m"]}, body, {"tau": tau}, inputs)
    e = np.exp(-dt[:, None, :] / tau[:, None])
    check(got, {"y": e * memory + (1 - e) * h[:, None, :]})


@pytest.mark.parametrize("batch,n,m,kind", SIZES)
@pytest.mark.parametrize("biases", [True, False])
def test_state_gate(batch, n, m, kind, biases):
    rng = np.random.default_rng(n)
    d = 6
    p = {
        "wq": f4(rng, -1, 1, n, d),
        "wk": f4(rng, -1, 1, n, d),
        "wv": f4(rng, -1, 1, n, n),
        "bq": f4(rng, -1, 1, d),
        "bk": f4(rng, -1, 1, d),
        "bv": f4(rng, -1, 1, n),
        "w": f4(rng, -1, 1, 2 * n, n),
        "b": f4(rng, -1, 1, n),
    }
    h, memory = f4(rng, -1, 1, batch, n), f4(rng, -1, 1, batch, m, n)
    types = {"h": f"tensor<?x{n}xf32>", "m": f"tensor<?x{m}x{n}xf32>"}

    def both(k):
        return f"%w{k}, %b{k}" if biases else f"%w{k}"

    body = (
        f"%y = lnn.state_gate %h over %m query({both('q')}) key({both('k')}) value({both('v')}) "
        f"gate(%w, %b) : {types['h']}, {types['m']}, tensor<{n}x{d}xf32>"
    )
    got = run(types, {"y": types["h"]}, body, p, {"h": h, "m": memory})
    on = 1.0 if biases else 0.0
    q = h @ p["wq"] + on * p["bq"]
    k = memory @ p["wk"] + on * p["bk"]
    v = memory @ p["wv"] + on * p["bv"]
    s = np.einsum("bd,bmd->bm", q, k) / np.sqrt(d)
    e = np.exp(s - s.max(1, keepdims=True))
    c = np.einsum("bm,bmn->bn", e / e.sum(1, keepdims=True), v)
    g = sigmoid(np.concatenate([h, c], 1) @ p["w"] + p["b"])
    check(got, {"y": g * h + (1 - g) * c}, 2e-5)


@pytest.mark.parametrize("batch,time,n", [(1, 1, 5), (5, 7, 19), (5, 4, 32), (2, 0, 3)])
@pytest.mark.parametrize("reverse", [False, True])
def test_linear_recurrence_diagonal(batch, time, n, reverse):
    rng = np.random.default_rng(n)
    a, b = f4(rng, 0, 1, batch, time, n), f4(rng, -1, 1, batch, time, n)
    h = f4(rng, -1, 1, batch, n)
    seq, state = f"tensor<?x?x{n}xf32>", f"tensor<?x{n}xf32>"
    order = " reverse" if reverse else ""
    body = (
        f"%y, %hn = lnn.linear_recurrence decay %a drive %b from %h dim 1{order} "
        f": ({seq}, {seq}, {state}) -> ({seq}, {state})"
    )
    got = run(
        {"a": seq, "b": seq, "h": state},
        {"y": seq, "hn": state},
        body,
        {},
        {"a": a, "b": b, "h": h},
    )
    y = np.zeros_like(b)
    for t in range(time)[:: -1 if reverse else 1]:
        h = a[:, t] * h + b[:, t]
        y[:, t] = h
    check(got, {"y": y, "hn": h})


@pytest.mark.parametrize("batch,time,k,v", [(1, 1, 5, 3), (5, 7, 8, 19), (2, 4, 16, 16)])
@pytest.mark.parametrize("decay", ["scalar", "key", "full"])
@pytest.mark.parametrize("read", [False, True])
def test_linear_recurrence_matrix(batch, time, k, v, decay, read):
    rng = np.random.default_rng(k)
    tail, text = {"scalar": ((1,), "1"), "key": ((k,), str(k)), "full": ((k, v), f"{k}x{v}")}[decay]
    a = f4(rng, 0, 1, batch, time, *tail)
    inputs = {
        "a": a,
        "k": f4(rng, -1, 1, batch, time, k),
        "v": f4(rng, -1, 1, batch, time, v),
        "q": f4(rng, -1, 1, batch, time, k),
        "s": f4(rng, -1, 1, batch, k, v),
    }
    types = {
        "a": f"tensor<?x?x{text}xf32>",
        "k": f"tensor<?x?x{k}xf32>",
        "v": f"tensor<?x?x{v}xf32>",
        "q": f"tensor<?x?x{k}xf32>",
        "s": f"tensor<?x{k}x{v}xf32>",
    }
    if not read:
        del inputs["q"], types["q"]
    out = f"tensor<?x?x{v}xf32>" if read else f"tensor<?x?x{k}x{v}xf32>"
    body = (
        f"%y, %sn = lnn.linear_recurrence decay %a keys %k values %v {'read %q ' if read else ''}"
        f"from %s dim 1 : ({', '.join(types.values())}) -> ({out}, {types['s']})"
    )
    got = run(types, {"y": out, "sn": types["s"]}, body, {}, inputs)
    s, y = inputs["s"], []
    for t in range(time):
        at = a[:, t] if decay == "full" else a[:, t][:, :, None]
        s = at * s + inputs["k"][:, t, :, None] * inputs["v"][:, t, None, :]
        y.append(np.einsum("bkv,bk->bv", s, inputs["q"][:, t]) if read else s)
    check(got, {"y": np.stack(y, 1), "sn": s})


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("drive", [False, True])
@pytest.mark.parametrize("before", [(False,), (True,), (True, False, True)])
def test_linear_recurrence_reads(before, drive, reverse):
    """Queries of the state before and after the step; the last is another one for each value."""
    batch, time, k, v = 2, 5, 3, 19
    rng = np.random.default_rng(k)
    inputs, types = {"a": f4(rng, 0, 1, batch, time, k, 1)}, {"a": f"tensor<?x?x{k}x1xf32>"}
    if drive:
        inputs["b"], types["b"] = f4(rng, -1, 1, batch, time, k, v), f"tensor<?x?x{k}x{v}xf32>"
    else:
        inputs["k"], types["k"] = f4(rng, -1, 1, batch, time, k), f"tensor<?x?x{k}xf32>"
        inputs["v"], types["v"] = f4(rng, -1, 1, batch, time, v), f"tensor<?x?x{v}xf32>"
    queries = [f"q{i}" for i in range(len(before))]
    for name in queries:
        wide = name == queries[-1]
        inputs[name] = f4(rng, -1, 1, batch, time, k, *([v] if wide else []))
        types[name] = f"tensor<?x?x{k}{f'x{v}' if wide else ''}xf32>"
    inputs["s"], types["s"] = f4(rng, -1, 1, batch, k, v), f"tensor<?x{k}x{v}xf32>"
    out, count = f"tensor<?x?x{v}xf32>", len(before)
    reads = ", ".join(f"%{name}" for name in queries)
    body = (
        f"%ys:{count}, %sn = lnn.linear_recurrence decay %a "
        f"{'drive %b' if drive else 'keys %k values %v'} read {reads} "
        f"before [{', '.join(str(x).lower() for x in before)}] from %s dim 1"
        f"{' reverse' if reverse else ''} : ({', '.join(types.values())}) -> "
        f"({', '.join([out] * count)}, {types['s']})"
    )
    names = {f"ys#{i}": out for i in range(count)}
    got = run(types, {**names, "sn": types["s"]}, body, {}, inputs)
    s, want = inputs["s"].astype("f8"), {name: np.zeros((batch, time, v)) for name in names}
    for t in range(time)[:: -1 if reverse else 1]:
        at = {name: value[:, t].astype("f8") for name, value in inputs.items() if name != "s"}
        old, added = s, at["b"] if drive else at["k"][:, :, None] * at["v"][:, None]
        s = at["a"] * s + added
        for i, (name, early) in enumerate(zip(queries, before)):
            q = at[name] if at[name].ndim == 3 else at[name][..., None]
            want[f"ys#{i}"][:, t] = ((old if early else s) * q).sum(1)
    check(got, {**want, "sn": s})


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("parts", [2, 3])
def test_linear_recurrence_of_parts(parts, read, reverse):
    """Each part's next state is a sum of all parts'; queries of one of them each."""
    batch, time, k, v = 2, 5, 3, 19
    rng = np.random.default_rng(parts)
    full, state = f"tensor<?x?x{k}x{v}xf32>", f"tensor<?x{k}x{v}xf32>"
    one, key = f"tensor<?x?x{k}x1xf32>", f"tensor<?x?x{k}xf32>"
    inputs, types = {}, {}

    def give(name, type, *shape):
        inputs[name], types[name] = f4(rng, -0.6, 0.6, *shape), type
        return f"%{name}"

    pairs = [(i, j) for i in range(parts) for j in range(parts)]
    decays = [
        give(f"a{i}{j}", one, batch, time, k, 1) if i == j
        else give(f"a{i}{j}", full, batch, time, k, v)
        for i, j in pairs
    ]  # fmt: skip
    drives = [give(f"b{i}", full, batch, time, k, v) for i in range(parts)]
    of, before = [parts - 1, 0, 0], [False, True, False]
    queries = [give(f"q{i}", key, batch, time, k) for i in range(3)] if read else []
    inits = [give(f"h{i}", state, batch, k, v) for i in range(parts)]
    out, count = (f"tensor<?x?x{v}xf32>", 3) if read else (full, parts)
    text = f"read {', '.join(queries)} of {of} before {before} ".lower() if read else ""
    results = ", ".join([out] * count + [state] * parts)
    body = (
        f"%r:{count + parts} = lnn.linear_recurrence decay {', '.join(decays)} "
        f"drive {', '.join(drives)} {text}from {', '.join(inits)} dim 1"
        f"{' reverse' if reverse else ''} : ({', '.join(types.values())}) -> ({results})"
    )
    names = [f"r#{i}" for i in range(count + parts)]
    got = run(types, dict(zip(names, [out] * count + [state] * parts)), body, {}, inputs)
    v8 = {name: value.astype("f8") for name, value in inputs.items()}
    h = [v8[f"h{i}"] for i in range(parts)]
    want = [np.zeros((batch, time, v) if read else (batch, time, k, v)) for _ in range(count)]
    for t in range(time)[:: -1 if reverse else 1]:
        old = h
        h = [
            sum(v8[f"a{i}{j}"][:, t] * old[j] for j in range(parts)) + v8[f"b{i}"][:, t]
            for i in range(parts)
        ]
        for i in range(count):
            if read:
                of_state = (old if before[i] else h)[of[i]]
                want[i][:, t] = np.einsum("bkv,bk->bv", of_state, v8[f"q{i}"][:, t])
            else:
                want[i][:, t] = h[i]
    check(got, dict(zip(names, [*want, *h])))


@pytest.mark.parametrize(
    "batch,time,c,taps,dilation",
    [(1, 1, 5, 3, 1), (5, 9, 19, 4, 1), (2, 3, 16, 1, 1), (2, 1, 8, 4, 1), (2, 9, 19, 3, 2),
     (3, 2, 8, 4, 3), (1, 5, 4, 1, 2)],
)  # fmt: skip
@pytest.mark.parametrize("bias", [True, False])
def test_causal_conv(batch, time, c, taps, dilation, bias):
    rng = np.random.default_rng(c)
    past = (taps - 1) * dilation
    x, s = f4(rng, -1, 1, batch, time, c), f4(rng, -1, 1, batch, past, c)
    w, b = f4(rng, -1, 1, taps, c), f4(rng, -1, 1, c)
    types = {"x": f"tensor<?x?x{c}xf32>", "s": f"tensor<?x{past}x{c}xf32>"}
    body = (
        f"%y, %sn = lnn.causal_conv %x, %s taps({'%w, %b' if bias else '%w'})"
        f"{f' dilation {dilation}' if dilation > 1 else ''} : {types['x']}, {types['s']}"
    )
    got = run(types, {"y": types["x"], "sn": types["s"]}, body, {"w": w, "b": b}, {"x": x, "s": s})
    whole = np.concatenate([s, x], 1)
    y = sum(w[j] * whole[:, j * dilation :][:, :time] for j in range(taps)) + (b if bias else 0)
    check(got, {"y": y, "sn": whole[:, time:]})


SEQUENCE = """
func.func @main(%x: tensor<?x?x3xf32> {lnn.name = "x", lnn.dims = ["batch", "time", 3]},
    %dt: tensor<?x?x1xf32> {lnn.name = "dt", lnn.role = "dt", lnn.dims = ["batch", "time", 1]},
    %h0: tensor<?x4xf32>
      {lnn.name = "h0", lnn.role = "state", lnn.next = "hn", lnn.dims = ["batch", 4]})
    -> (tensor<?x?x4xf32> {lnn.name = "y"}, tensor<?x4xf32> {lnn.name = "hn"}) {
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c1 : tensor<?x?x3xf32>
  %w = arith.constant dense<0.5> : tensor<4x4xf32>
  %s = arith.constant dense<4.0> : tensor<4x4xf32>
  %m = arith.constant dense<0.25> : tensor<4x4xf32>
  %e = arith.constant dense<0.75> : tensor<4x4xf32>
  %w1 = arith.constant dense<0.5> : tensor<3x4xf32>
  %p = arith.constant dense<0.625> : tensor<4xf32>
  %y, %hn = lnn.scan %t of %n over (%xt = %x dim 1, %dtt = %dt dim 1) carrying (%h = %h0)
      stacking (dim 1) : (tensor<?x?x3xf32>, tensor<?x?x1xf32>, tensor<?x4xf32>)
      -> (tensor<?x?x4xf32>, tensor<?x4xf32>) {
    %next = lnn.ltc %h, %xt for %dtt unfolds 6 recurrent(%w, %s, %m, %e)
      sensory(%w1, %w1, %w1, %w1) neurons(%p, %p, %p)
      : tensor<?x4xf32>, tensor<?x3xf32>, tensor<?x1xf32>
    lnn.yield %next : tensor<?x4xf32> carrying %next : tensor<?x4xf32>
  }
  return %y, %hn : tensor<?x?x4xf32>, tensor<?x4xf32>
}
"""


def test_ltc_over_a_sequence():
    model = lnnc.compile(SEQUENCE)
    rng = np.random.default_rng(0)
    x, dt = rng.uniform(-1, 1, (2, 5, 3)).astype("f4"), rng.uniform(0.1, 1, (2, 5, 1)).astype("f4")
    h0 = rng.uniform(-1, 1, (2, 4)).astype("f4")
    got = model.run({"x": x, "dt": dt, "h0": h0})
    h, y = h0.astype("f8"), []
    for t in range(5):
        # All weights of a kind are equal, so that every receiver sums the same.
        g = 0.5 * sigmoid(0.5 * (x[:, t].astype("f8") - 0.5)).sum(1, keepdims=True)
        cm = 0.625 / (dt[:, t].astype("f8") / 6)
        for _ in range(6):
            r = 0.5 * sigmoid(4 * (h - 0.25)).sum(1, keepdims=True)
            h = (cm * h + 0.625**2 + 0.75 * r + 0.5 * g) / (cm + 0.625 + r + g + 1e-8)
        y.append(h)
    check(got, {"y": np.stack(y, 1), "hn": h})
    # Chunks of any length, one step and none included, give the same bits.
    session, parts = model.session(batch=2), []
    session.state = {"h0": h0}
    for lo, hi in ((0, 1), (1, 1), (1, 4), (4, 5)):
        parts.append(session.step(x=x[:, lo:hi], dt=dt[:, lo:hi])["y"])
    assert np.concatenate(parts, 1).tobytes() == got["y"].tobytes()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_inputs_pass_synapses_that_exist_alone(value):
    """A sparse wiring's cell is finite for inputs that are not: its gates are."""
    model = lnnc.compile(zoo_path("ltc_cell_ncp19"))
    (inputs, _), *_ = zoo_sets("ltc_cell_ncp19")
    inputs = dict(inputs)
    for name in inputs:
        if inputs[name].shape[-1] == 32:
            inputs[name] = np.full_like(inputs[name], value)
    finite = {k: np.where(np.isinf(v), np.sign(v) * 1e6, v).astype("f4") for k, v in inputs.items()}
    got, want = model(**inputs), model(**finite)
    for a, b in zip(got.values(), want.values()):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("time", [np.inf, -np.inf, 3e38, 0.7])
def test_a_time_that_is_known_and_has_no_end(time):
    (inputs, _), *_ = zoo_sets("cfc_cell")
    name = next(k for k, v in inputs.items() if v.shape[-1] == 1)
    given = {k: v for k, v in inputs.items() if k != name}
    inputs = {**inputs, name: np.full_like(inputs[name], time)}
    want = lnnc.compile(zoo_path("cfc_cell"))(**inputs)
    rows = len(inputs[name])
    frozen = np.full((rows, 1), time, "f4").tolist()
    got = lnnc.compile(zoo_path("cfc_cell"), freeze={name: frozen})(**given)
    for a, b in zip(got.values(), want.values()):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("time", [np.inf, 3e38, 1e30])
def test_a_step_that_lasts_for_ever_ends_where_gates_and_leak_balance(time):
    """What is left of (c h + dt b) / (c + dt a) is b / a; dt b alone is no number."""
    (inputs, _), *_ = zoo_sets("ltc_cell_ncp19")
    name = next(k for k, v in inputs.items() if v.shape[-1] == 1)
    inputs = {**inputs, name: np.full_like(inputs[name], time)}
    want = lnnc.compile(zoo_path("ltc_cell_ncp19"), raise_cells=False)(**inputs)
    got = lnnc.compile(zoo_path("ltc_cell_ncp19"))(**inputs)
    for a, b in zip(got.values(), want.values()):
        assert np.isfinite(b).all() and np.allclose(a, b, rtol=1e-5, atol=1e-6)
