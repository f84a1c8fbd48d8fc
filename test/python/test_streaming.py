"""Streaming: an offline export stepped through a sequence, in pieces of any length, gives the bits
of the whole; what cannot be is refused by the node's name.
"""

import lnnc
import numpy as np
import onnx
import pytest
from conftest import make_onnx, zoo_path, zoo_sets
from onnx import helper, numpy_helper


def f32(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("f4")


def pieces(length, sizes):
    """Slices of a sequence, of these sizes in turn."""
    at = k = 0
    while at < length:
        n = min(sizes[k % len(sizes)], length - at)
        yield slice(at, at + n)
        at, k = at + n, k + 1


def check(model, inputs, axis=0, batch=1, sizes=((1,), (3, 1, 4), (100,)), states=None):
    """Runs the model whole, and as a session in pieces; `inputs` are all along `axis`, as is every
    output of more than 2 dimensions that is no state.
    """
    whole = lnnc.compile(model).run(inputs)
    m = lnnc.compile(model, streaming=True)
    if states is not None:
        assert sum(i.role == "state" for i in m.get_inputs()) == states
    names = [o.name for o in m.get_outputs() if o.role != "state"]
    time = next(iter(inputs.values())).shape[axis]
    for lengths in sizes:
        session = m.session(batch=batch) if batch else m.session()
        parts = []
        for piece in pieces(time, lengths):
            at = tuple(piece if k == axis else slice(None) for k in range(axis + 1))
            out = session.step(**{k: v[at] for k, v in inputs.items()})
            parts.append({name: np.array(out[name]) for name in names})
        for name in names:
            got = [p[name] for p in parts]
            along = got[0].ndim > 2
            got = np.concatenate(got, axis) if along else got[-1]
            assert got.tobytes() == whole[name].tobytes(), (name, lengths)
    return m


# ---- recurrent operators -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gru_op", "lstm_op", "rnn_tanh_op"])
def test_exported_recurrent_operators(name):
    inputs = zoo_sets(name)[0][0]
    m = check(
        onnx.load(zoo_path(name)),
        inputs,
        batch=inputs["x"].shape[1],
        states=2 if name == "lstm_op" else 1,
    )
    assert all(i.shape[1] == "batch" for i in m.get_inputs() if i.role == "state")


def recurrent(op, layers=1, time="time", **attributes):
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[op]
    nodes, inits, value = [], {"one": np.array([1])}, "x"
    for k in range(layers):
        inits[f"w{k}"] = f32(1, gates * 5, 4 if k == 0 else 5, seed=k)
        inits[f"r{k}"] = f32(1, gates * 5, 5, seed=k + 9)
        nodes.append((op, [value, f"w{k}", f"r{k}"], [f"y{k}"], {"hidden_size": 5, **attributes}))
        nodes.append(("Squeeze", [f"y{k}", "one"], [f"s{k}"], {}))
        value = f"s{k}"
    nodes.append(("Tanh", [value], ["y"], {}))
    return make_onnx(
        nodes, {"x": ("f4", [time, "batch", 4])}, {"y": ("f4", [time, "batch", 5])}, inits
    )


@pytest.mark.parametrize("op", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("time", ["time", 11])
def test_recurrent_operators_in_layers(op, time):
    m = check(recurrent(op, 2, time), {"x": f32(11, 3, 4)}, batch=3)
    states = [i.name for i in m.get_inputs() if i.role == "state"]
    assert len(states) == (4 if op == "LSTM" else 2) and len(set(states)) == len(states)


def test_lanes_of_exposed_states():
    model = recurrent("GRU")
    m = lnnc.compile(model, streaming=True)
    x = f32(8, 2, 4)
    session = m.session(batch=2)
    session.step(x=x[:5])
    session.reset(lanes=[1])
    y = np.array(session.step(x=x[5:])["y"])
    whole = lnnc.compile(model)
    assert np.array_equal(y[:, 0], whole.run({"x": x})["y"][5:, 0])
    assert np.array_equal(y[:, 1], whole.run({"x": x[5:]})["y"][:, 1])


def test_a_state_that_is_an_input_already():
    model = make_onnx(
        [("GRU", ["x", "w", "r", "", "", "h0"], ["y", "hn"], {"hidden_size": 5})],
        {"x": ("f4", ["time", "batch", 4]), "h0": ("f4", [1, "batch", 5])},
        {"y": ("f4", ["time", 1, "batch", 5]), "hn": ("f4", [1, "batch", 5])},
        {"w": f32(1, 15, 4), "r": f32(1, 15, 5)},
    )
    m = lnnc.compile(model, streaming=True)
    assert [i.name for i in m.get_inputs() if i.role == "state"] == ["h0"]
    # without an output that replaces it, one is made
    del model.graph.output[1]
    m = lnnc.compile(model, streaming=True)
    states = [i for i in m.get_inputs() if i.role == "state"]
    assert [i.name for i in states] == ["h0"]
    x = f32(6, 2, 4)
    session = m.session(batch=2)
    y = np.concatenate([np.array(session.step(x=x[t : t + 1])["y"]) for t in range(6)])
    zeros = np.zeros((1, 2, 5), "f4")
    assert np.array_equal(y, lnnc.compile(model).run({"x": x, "h0": zeros})["y"])


# ---- what was unrolled ---------------------------------------------------------------------------


def with_zero_states(name):
    """A zoo model whose states start from zeros inside of it, and leave it nowhere."""
    model = onnx.load(zoo_path(name))
    for value in [i for i in model.graph.input if i.name == "h0"]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, "f4"), "h0"))
        model.graph.input.remove(value)
    for value in [o for o in model.graph.output if o.name == "hn"]:
        model.graph.output.remove(value)
    return model


@pytest.mark.parametrize("name", ["cfc_seq_t16", "cfc_seq_t16_dynamo", "ltc_ncp_seq_t16"])
def test_unrolled_cells(name):
    inputs = {k: v for k, v in zoo_sets(name)[0][0].items() if k != "h0"}
    m = check(with_zero_states(name), inputs, axis=1, batch=None, states=1)
    assert m.get_inputs()[0].shape[1] == "time"


@pytest.mark.parametrize("name", ["ltc_seq_external", "mamba_t16", "mamba_t16_dynamo"])
def test_exported_sequences(name):
    model = zoo_path(name)
    check(model, zoo_sets(name)[0][0], axis=1, batch=None)


def test_a_session_goes_on_beyond_the_length_of_the_export():
    m = lnnc.compile(with_zero_states("cfc_seq_t16"), streaming=True)
    free = {"x": {1: "time"}, "timespans": {1: "time"}}
    whole = lnnc.compile(with_zero_states("cfc_seq_t16"), dynamic=free)
    x, ts = f32(1, 300, 8), np.abs(f32(1, 300, 1)) + np.float32(0.1)
    session = m.session()
    y = [np.array(session.step(x=x[:, t : t + 1], timespans=ts[:, t : t + 1])["y"])
         for t in range(300)]  # fmt: skip
    assert np.array_equal(np.concatenate(y, 1), whole.run({"x": x, "timespans": ts})["y"])


def loop_over_time(nodes, starts, outs, inits=(), trip="length"):
    """A Loop over x[time, 4]; `starts` are initializers that it carries."""
    carried = [helper.make_tensor_value_info(f"{n}_in", 1, list(v.shape)) for n, v in starts]
    body = helper.make_graph(
        [
            helper.make_node(op, i, o, name=f"/body/{op}_{k}", **a)
            for k, (op, i, o, a) in enumerate(nodes)
        ],  # fmt: skip
        "body",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, [])]
        + carried,
        [helper.make_tensor_value_info("co", 9, [])]
        + [helper.make_tensor_value_info(n, 1, None) for n in outs],
    )
    graph = [
        ("Shape", ["x"], ["shape"], {}),
        ("Gather", ["shape", "zero"], ["length"], {}),
        ("Loop", [trip, "", *[n for n, _ in starts]], [*[f"{n}_last" for n, _ in starts], "y"],
         {"body": body}),
    ]  # fmt: skip
    return make_onnx(graph, {"x": ("f4", ["time", 1, 4])}, {"y": ("f4", ["time", 1, 4])},
                     {"zero": np.array(0), **dict(starts), **dict(inits)})  # fmt: skip


STEP = [
    ("Identity", ["c"], ["co"], {}),
    ("Gather", ["x", "i"], ["xt"], {}),
    ("Mul", ["h_in", "half"], ["kept"], {}),
    ("Add", ["kept", "xt"], ["hn"], {}),
    ("Tanh", ["hn"], ["yt"], {}),
]
ZERO = [("h", np.zeros((1, 4), "f4"))]
HALF = {"half": np.float32(0.5)}


def test_a_loop_over_time():
    model = loop_over_time(STEP, ZERO, ["hn", "yt"], HALF.items())
    check(model, {"x": f32(9, 1, 4)}, batch=None, states=1)


# ---- convolutions --------------------------------------------------------------------------------


def conv(front, back, dilation=1, kernel=3, name="c"):
    return ("Conv", ["t", f"w{name}"], [name],
            {"pads": [front, back], "dilations": [dilation], "kernel_shape": [kernel]})  # fmt: skip


def convolved(nodes, inits, time="time", tail="c"):
    """x[batch, time, 4] through nodes on t[batch, 4, time] and back."""
    first = [("Transpose", ["x"], ["t"], {"perm": [0, 2, 1]})]
    last = [("Transpose", [tail], ["z"], {"perm": [0, 2, 1]}), ("Sigmoid", ["z"], ["y"], {})]
    shape = ("f4", ["batch", time, 4])
    return make_onnx(first + nodes + last, {"x": shape}, {"y": shape}, inits)


CUT = {"start": np.array([0]), "axis": np.array([2])}


@pytest.mark.parametrize("time", ["time", 13])
@pytest.mark.parametrize(
    "form", ["pads", "dilated", "cut", "pad node", "concat", "two layers", "shift"]
)
def test_causal_convolutions(form, time):
    w = {"wc": f32(4, 4, 3), "wd": f32(4, 1, 2)}
    tail, states = "c", 1
    if form == "pads":
        nodes = [conv(2, 0)]
    elif form == "dilated":
        nodes = [conv(4, 0, dilation=2)]
    elif form == "cut":  # padded on both sides, the end cut off: how PyTorch's padding= does it
        nodes = [conv(2, 2), ("Slice", ["c", "start", "end", "axis"], ["s"], {})]
        w.update(CUT, end=np.array([-2 if time == "time" else time]))
        tail = "s"
    elif form == "pad node":
        nodes = [("Pad", ["t", "pads"], ["p"], {}), ("Conv", ["p", "wc"], ["c"], {})]
        w["pads"] = np.array([0, 0, 2, 0, 0, 0])
    elif form == "concat":
        nodes = [("Concat", ["zeros", "t"], ["p"], {"axis": 2}), ("Conv", ["p", "wc"], ["c"], {})]
        w["zeros"] = np.zeros((3, 4, 2), "f4")
    elif form == "two layers":
        nodes = [
            conv(2, 0),
            ("Relu", ["c"], ["r"], {}),
            ("Conv", ["r", "wd"], ["d"], {"pads": [1, 0], "group": 4}),
            ("Add", ["d", "t"], ["e"], {}),
        ]
        tail, states = "e", 2
    else:  # the sample before
        nodes = [
            ("Pad", ["t", "pads"], ["p"], {}),
            ("Slice", ["p", "start", "end", "axis"], ["before"], {}),
            ("Sub", ["t", "before"], ["d"], {}),
        ]
        w.update(CUT, end=np.array([-1]), pads=np.array([0, 0, 1, 0, 0, 0]))
        tail = "d"
    batch = 3 if form != "concat" or time == "time" else 3
    model = convolved(nodes, w, time, tail)
    if form == "concat":
        for value in (model.graph.input[0], model.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_value = 3
        batch = None
    check(model, {"x": f32(3, 13, 4)}, axis=1, batch=batch, states=states)


def test_a_convolution_in_front_of_a_gru():
    nodes = [
        conv(2, 0),
        ("Transpose", ["c"], ["u"], {"perm": [2, 0, 1]}),
        ("GRU", ["u", "w", "r"], ["g"], {"hidden_size": 4}),
        ("Squeeze", ["g", "one"], ["s"], {}),
        ("Transpose", ["s"], ["back"], {"perm": [1, 2, 0]}),
    ]
    inits = {"wc": f32(4, 4, 3), "w": f32(1, 12, 4), "r": f32(1, 12, 4), "one": np.array([1])}
    model = convolved(nodes, inits, tail="back")
    check(model, {"x": f32(2, 9, 4)}, axis=1, batch=2, states=2)


# ---- what cannot be ------------------------------------------------------------------------------


def refused(model, match):
    lnnc.compile(model)
    with pytest.raises(lnnc.UnsupportedError, match=match):
        lnnc.compile(model, streaming=True)


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_other_directions(direction):
    d = 2 if direction == "bidirectional" else 1
    model = make_onnx(
        [("GRU", ["x", "w", "r"], ["y"], {"hidden_size": 5, "direction": direction})],
        {"x": ("f4", ["time", 1, 4])},
        {"y": ("f4", ["time", d, 1, 5])},
        {"w": f32(d, 15, 4), "r": f32(d, 15, 5)},
    )
    refused(model, f"'/GRU_0'.*{direction}")


def test_an_exported_bidirectional_model():
    with pytest.raises(lnnc.UnsupportedError, match="'node_flip'"):
        lnnc.compile(zoo_path("cfc_bidir_scan"), streaming=True)


def after_gru(nodes, inits=(), time="time"):
    """y of a GRU, s[time, batch, 5], through nodes that make y."""
    first = [
        ("GRU", ["x", "w", "r"], ["g"], {"hidden_size": 5}),
        ("Squeeze", ["g", "one"], ["s"], {}),
    ]
    inits = {"w": f32(1, 15, 4), "r": f32(1, 15, 5), "one": np.array([1]), **dict(inits)}
    return make_onnx(first + nodes, {"x": ("f4", [time, 1, 4])}, {"y": ("f4", None)}, inits)


REFUSALS = {
    "mean over time": ([("ReduceMean", ["s"], ["y"], {"axes": [0]})], {}, "ReduceMean_2"),
    "softmax over time": ([("Softmax", ["s"], ["y"], {"axis": 0})], {}, "Softmax_2"),
    "attention": (
        [
            ("Transpose", ["s"], ["a"], {"perm": [1, 0, 2]}),
            ("Transpose", ["s"], ["b"], {"perm": [1, 2, 0]}),
            ("MatMul", ["a", "b"], ["y"], {}),
        ],
        {},
        "MatMul_4",
    ),
    "sum over time in a product": (
        [
            ("Transpose", ["s"], ["a"], {"perm": [1, 2, 0]}),
            ("Transpose", ["s"], ["b"], {"perm": [1, 0, 2]}),
            ("MatMul", ["a", "b"], ["y"], {}),
        ],
        {},
        "MatMul_4",
    ),
    "running sum": ([("CumSum", ["s", "zero"], ["y"], {})], {"zero": np.array(0)}, "CumSum_2"),
    "turned around": (
        [("Slice", ["s", "m", "low", "zero", "m"], ["y"], {})],
        {"m": np.array([-1]), "low": np.array([-(2**31)]), "zero": np.array([0])},
        "Slice_2",
    ),
    "the first": (
        [("Gather", ["s", "zero"], ["y"], {"axis": 0})], {"zero": np.array(0)}, "Gather_2",
    ),
    "every second": (
        [("Slice", ["s", "zero", "end", "zero", "two"], ["y"], {})],
        {"zero": np.array([0]), "end": np.array([2**40]), "two": np.array([2])},
        "Slice_2",
    ),
    "a share of the length": (
        [
            ("Shape", ["s"], ["n"], {}),
            ("Gather", ["n", "zero"], ["t"], {}),
            ("Cast", ["t"], ["f"], {"to": 1}),
            ("Div", ["s", "f"], ["y"], {}),
        ],
        {"zero": np.array(0)},
        "Cast_4|Div_5",
    ),
    "positions": (
        [
            ("Shape", ["s"], ["n"], {}),
            ("Gather", ["n", "zero"], ["t"], {}),
            ("Range", ["zero", "t", "step"], ["p"], {}),
            ("Cast", ["p"], ["f"], {"to": 1}),
            ("Unsqueeze", ["f", "axes"], ["u"], {}),
            ("Add", ["s", "u"], ["y"], {}),
        ],
        {"zero": np.array(0), "step": np.array(1), "axes": np.array([1, 2])},
        "Range_4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_what_needs_the_whole_sequence(what):
    nodes, inits, match = REFUSALS[what]
    refused(after_gru(nodes, inits), f"'/({match})'")


def test_pairs_of_times():
    nodes = [
        ("Gather", ["s", "zero"], ["a"], {"axis": 2}),  # [time, batch]
        ("Transpose", ["a"], ["b"], {"perm": [1, 0]}),
        ("Sub", ["a", "b"], ["y"], {}),
    ]
    refused(after_gru(nodes, {"zero": np.array(0)}), "'/Sub_4'.*every time with every other")


def test_a_reshape_that_mixes_times():
    nodes = [("Reshape", ["s", "shape"], ["y"], {})]
    refused(after_gru(nodes, {"shape": np.array([5, -1])}), "'/Reshape_2'.*mixes times")


def test_a_reshape_that_joins_time_with_batch_and_parts_them():
    nodes = [
        ("Transpose", ["s"], ["t"], {"perm": [1, 0, 2]}),
        ("Reshape", ["t", "flat"], ["f"], {}),
        ("Gemm", ["f", "v"], ["m"], {}),
        ("Reshape", ["m", "back"], ["b"], {}),
        ("Transpose", ["b"], ["y"], {"perm": [1, 0, 2]}),
    ]
    inits = {"flat": np.array([-1, 5]), "v": f32(5, 3), "back": np.array([2, -1, 3])}
    model = after_gru(nodes, inits)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, ["time", 2, 3]))
    check(model, {"x": f32(7, 2, 4)}, batch=None, states=1)


def test_a_convolution_inside_of_a_loop():
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["co"]),
            helper.make_node("Conv", ["t_in", "w"], ["tn"], "inside", pads=[2, 0]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", 7, []),
            helper.make_tensor_value_info("c", 9, []),
            helper.make_tensor_value_info("t_in", 1, ["batch", 4, "time"]),
        ],
        [
            helper.make_tensor_value_info("co", 9, []),
            helper.make_tensor_value_info("tn", 1, ["batch", 4, "time"]),
        ],
    )
    nodes = [conv(2, 0), ("Loop", ["n", "", "c"], ["l"], {"body": body})]
    model = convolved(nodes, {"wc": f32(4, 4, 3), "w": f32(4, 4, 3), "n": np.array(2)}, tail="l")
    refused(model, "'inside'.*inside of a subgraph")


def test_the_newest_may_be_read():
    nodes = [("Gather", ["s", "last"], ["y"], {"axis": 0})]
    model = after_gru(nodes, {"last": np.array(-1)})
    m = lnnc.compile(model, streaming=True)
    x = f32(7, 1, 4)
    session = m.session()
    for t in range(7):
        y = np.array(session.step(x=x[t : t + 1])["y"])
        assert np.array_equal(y, lnnc.compile(model).run({"x": x[: t + 1]})["y"])


def test_a_convolution_that_looks_ahead():
    refused(convolved([conv(1, 1)], {"wc": f32(4, 4, 3)}), "'/Conv_1'.*looks ahead")


def test_a_convolution_with_a_stride():
    model = convolved([conv(2, 0)], {"wc": f32(4, 4, 3)})
    model.graph.node[1].attribute.append(helper.make_attribute("strides", [2]))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "less"
    refused(model, "'/Conv_1'.*stride")


def test_a_state_that_starts_from_other_values():
    model = make_onnx(
        [("GRU", ["x", "w", "r", "", "", "h0"], ["y"], {"hidden_size": 5})],
        {"x": ("f4", ["time", 1, 4])},
        {"y": ("f4", ["time", 1, 1, 5])},
        {"w": f32(1, 15, 4), "r": f32(1, 15, 5), "h0": f32(1, 1, 5)},
    )
    refused(model, "'/GRU_0'.*neither zeros")


def test_an_initial_state_that_is_read_elsewhere_too():
    nodes = [
        ("GRU", ["x", "w", "r", "", "", "h0"], ["g"], {"hidden_size": 5}),
        ("Add", ["g", "h0"], ["y"], {}),
    ]
    model = make_onnx(
        nodes,
        {"x": ("f4", ["time", 1, 4]), "h0": ("f4", [1, 1, 5])},
        {"y": ("f4", ["time", 1, 1, 5])},
        {"w": f32(1, 15, 4), "r": f32(1, 15, 5)},
    )
    refused(model, "'/GRU_0'.*neither zeros")


def test_a_loop_that_its_condition_may_end():
    step = [
        ("Gather", ["x", "i"], ["xt"], {}),
        ("Add", ["h_in", "xt"], ["hn"], {}),
        ("ReduceSum", ["hn"], ["s"], {"keepdims": 0}),
        ("Less", ["s", "half"], ["co"], {}),
        ("Tanh", ["hn"], ["yt"], {}),
    ]
    model = loop_over_time(step, ZERO, ["hn", "yt"], HALF.items())
    refused(model, "'/Loop_2'.*condition")


def test_a_loop_that_counts_its_steps():
    step = [*STEP[:4], ("Cast", ["i"], ["f"], {"to": 1}), ("Add", ["hn", "f"], ["yt"], {})]
    model = loop_over_time(step, ZERO, ["hn", "yt"], HALF.items())
    refused(model, "'/body/Cast_4'.*number of the step")


def test_a_loop_that_reads_the_whole_sequence():
    step = [*STEP[:4], ("ReduceMax", ["x"], ["all"], {"axes": [0], "keepdims": 0}),
            ("Add", ["hn", "all"], ["yt"], {})]  # fmt: skip
    model = loop_over_time(step, ZERO, ["hn", "yt"], HALF.items())
    refused(model, "'/body/ReduceMax_4'.*whole sequence")


def test_a_model_without_recurrence():
    model = make_onnx([("Neg", ["x"], ["y"], {})], {"x": ("f4", ["n", 4])}, {"y": ("f4", ["n", 4])})
    refused(model, "no recurrence")


def test_mlir_text_is_refused():
    text = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      return %x : tensor<4xf32>
    }
    """
    with pytest.raises(lnnc.UnsupportedError, match="imported from ONNX"):
        lnnc.compile(text, streaming=True)
