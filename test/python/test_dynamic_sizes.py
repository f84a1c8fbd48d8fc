"""Sizes that an export fixed, made free: any length agrees with a float64 reference, and what fixes
a size is named.
"""

import subprocess

import lnnc
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import BUILD, assert_close, assert_same, make_onnx, zoo_path, zoo_sets
from onnx import numpy_helper

TIME = {"x": {1: "time"}, "timespans": {1: "time"}}


def f32(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("f4")


def weights(name):
    graph = onnx.load(zoo_path(name)).graph
    return {i.name: numpy_helper.to_array(i).astype("f8") for i in graph.initializer}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cfc(w, x, h, ts):
    """The closed-form cell in float64 (Hasani 2022), over [B, T, ...]."""

    def linear(v, name):
        return v @ w[f"r.rnn_cell.{name}.weight"].T + w[f"r.rnn_cell.{name}.bias"]

    ys = []
    for t in range(x.shape[1]):
        z = linear(np.concatenate([x[:, t], h], -1), "backbone.0")
        z = 1.7159 * np.tanh(0.666 * z)
        gate = sigmoid(linear(z, "time_a") * ts[:, t] + linear(z, "time_b"))
        h = np.tanh(linear(z, "ff1")) * (1 - gate) + gate * np.tanh(linear(z, "ff2"))
        ys.append(h)
    return np.stack(ys, 1), h


@pytest.mark.parametrize("time", [1, 16, 1000])
def test_unrolled_cfc_at_other_lengths(time):
    m = lnnc.compile(zoo_path("cfc_seq_t16"), dynamic=TIME)
    assert {i.name: tuple(i.shape) for i in m.get_inputs()} == {
        "x": (1, "time", 8),
        "h0": (1, 32),
        "timespans": (1, "time", 1),
    }
    assert tuple(m.get_outputs()[0].shape) == (1, "time", 32)
    x, h, ts = f32(1, time, 8), f32(1, 32), np.abs(f32(1, time, 1, seed=1)) + 0.1
    y, hn = cfc(weights("cfc_seq_t16"), x.astype("f8"), h.astype("f8"), ts.astype("f8"))
    got = m.run({"x": x, "h0": h, "timespans": ts.astype("f4")})
    assert_close(dict(got.items()), {"y": y.astype("f4"), "hn": hn.astype("f4")}, 5e-6)


@pytest.mark.parametrize(
    "name,dynamic",
    [
        ("cfc_seq_t16", TIME),
        ("cfc_seq_t16_dynamo", TIME),
        ("ltc_ncp_seq_t16", TIME),
        ("ltc_seq_external", {"x": {1: "time"}}),
        ("cfc_ncp_seq_t20", TIME),
        ("cfc_mixed_seq_t12", {"x": {1: "time"}}),
        ("ctrnn_feedback_unrolled_t24", {"x": {0: "time"}, "dt": {0: "time"}}),
        ("mamba_t16", {"input_ids": {1: "time"}}),
        ("mamba_t16_dynamo", {"input_ids": {1: "time"}}),
        ("cfc_while_loop", {"x": {0: "time"}, "dt": {0: "time"}}),
        ("cfc_bidir_scan", {"x": {0: "time"}, "dt": {0: "time"}}),
    ],
)
def test_zoo_models_at_their_own_length_keep_their_bits(name, dynamic, zoo_model):
    m = lnnc.compile(zoo_path(name), dynamic=dynamic)
    for inputs, _ in zoo_sets(name):
        assert_same(m.run(inputs), zoo_model(name).run(inputs))


def test_causal_models_do_not_see_what_comes_later():
    m = lnnc.compile(zoo_path("mamba_t16"), dynamic={"input_ids": {1: "time"}})
    ids = np.random.default_rng(3).integers(0, 512, (1, 100))
    whole = m.run({"input_ids": ids})["logits"]
    for n in (1, 2, 16, 50):
        part = m.run({"input_ids": ids[:, :n]})["logits"]
        assert np.array_equal(part, whole[:, :n])


# ---- what follows a size -------------------------------------------------------------------------


def other_length(nodes, inits, sizes=(6, 1, 2, 17), shape=(2, 6, 4), axis=1, out=None):
    """Compiles a model of one input exported with 6 times; runs it with others beside ONNX Runtime,
    which is given the model as it would have been exported with each.
    """

    def build(n):
        dims = [n if k == axis else d for k, d in enumerate(shape)]
        values = {k: v(n) if callable(v) else v for k, v in inits.items()}
        return make_onnx(nodes(n) if callable(nodes) else nodes, {"x": ("f4", dims)},
                         {"y": ("f4", out)}, values)  # fmt: skip

    m = lnnc.compile(build(6), dynamic={"x": {axis: "time"}})
    for n in sizes:
        x = f32(*[n if k == axis else d for k, d in enumerate(shape)])
        session = onnxruntime.InferenceSession(build(n).SerializeToString())
        want = session.run(None, {"x": x})[0]
        got = m.run({"x": x})["y"]
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


def test_reshape_that_joins_time_with_batch():
    nodes = [("Reshape", ["x", "flat"], ["r"], {}), ("MatMul", ["r", "w"], ["z"], {})]
    nodes += [("Reshape", ["z", "back"], ["y"], {})]
    other_length(
        nodes,
        {
            "flat": lambda n: np.array([2 * n, 4]),
            "w": f32(4, 3),
            "back": lambda n: np.array([2, n, 3]),
        },
    )


def test_reshape_where_another_size_equals_time():
    # heads of 6 beside 6 times
    other_length(
        [("Reshape", ["x", "s"], ["y"], {})],
        {"s": lambda n: np.array([2, n, 6, 2])},
        shape=(2, 6, 12),
    )


def test_reshape_with_a_computed_size_already():
    other_length([("Reshape", ["x", "s"], ["y"], {})], {"s": lambda n: np.array([-1, n, 2, 2])})


def test_expand_and_zeros_of_the_length():
    nodes = [
        ("Expand", ["row", "s"], ["wide"], {}),
        ("Add", ["x", "wide"], ["a"], {}),
        ("ConstantOfShape", ["s"], ["z"], {}),
        ("Add", ["a", "z"], ["b"], {}),
        ("Mul", ["b", "repeated"], ["y"], {}),
    ]
    other_length(
        nodes,
        {
            "row": f32(1, 1, 4),
            "s": lambda n: np.array([2, n, 4]),
            "repeated": lambda n: np.repeat(f32(1, 1, 4, seed=2), n, 1),
        },
    )


def test_slices_of_the_whole_and_the_last():
    nodes = [
        ("Slice", ["x", "zero", "n", "one"], ["whole"], {}),
        ("Gather", ["whole", "last"], ["g"], {"axis": 1}),
        ("Slice", ["x", "before", "n", "one"], ["end"], {}),
        ("Squeeze", ["end", "one"], ["e"], {}),
        ("Add", ["g", "e"], ["y"], {}),
    ]
    other_length(
        nodes,
        {
            "zero": np.array([0]),
            "one": np.array([1]),
            "n": lambda n: np.array([n]),
            "before": lambda n: np.array([n - 1]),
            "last": lambda n: np.array(n - 1),
        },
    )


def test_mean_over_time_stays_one():
    other_length([("ReduceMean", ["x"], ["y"], {"axes": [1], "keepdims": 0})], {})


def test_several_sizes_at_once():
    m = lnnc.compile(
        make_onnx(
            [("Reshape", ["x", "s"], ["r"], {}), ("Transpose", ["r"], ["y"], {"perm": [1, 0, 2]})],
            {"x": ("f4", [3, 5, 4])},
            {"y": ("f4", [5, 3, 4])},
            {"s": np.array([3, 5, 4])},
        ),
        dynamic={"x": {0: "batch", 1: "time"}},
    )
    x = f32(7, 11, 4)
    assert np.array_equal(m.run({"x": x})["y"], x.transpose(1, 0, 2))


def test_a_batch_of_one():
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [1, 0, 2]}),
        ("GRU", ["t", "w", "r"], ["g"], {"hidden_size": 5}),
        ("Transpose", ["g"], ["b"], {"perm": [2, 0, 1, 3]}),
        ("Reshape", ["b", "shape"], ["s"], {}),  # [1, -1, 5]: the rest is time, not the batch
        ("Slice", ["s", "zero", "one", "zero"], ["a"], {}),  # all of the batch
        ("MatMul", ["a", "v"], ["y"], {}),
    ]
    inits = {
        "w": f32(1, 15, 4),
        "r": f32(1, 15, 5),
        "shape": np.array([1, -1, 5]),
        "zero": np.array([0]),
        "one": np.array([1]),
        "v": f32(5, 3),
    }
    model = make_onnx(nodes, {"x": ("f4", [1, 6, 4])}, {"y": ("f4", [1, 6, 3])}, inits)
    one = lnnc.compile(model)
    many = lnnc.compile(model, dynamic={"x": {0: "batch"}})
    x = f32(7, 6, 4)
    want = np.concatenate([one.run({"x": x[k : k + 1]})["y"] for k in range(7)])
    assert np.array_equal(many.run({"x": x})["y"], want)


# ---- what fixes a size ---------------------------------------------------------------------------


def refused(nodes, inits, match, shape=(2, 6, 4), out=None):
    model = make_onnx(nodes, {"x": ("f4", shape)}, {"y": ("f4", out)}, inits)
    try:
        lnnc.compile(model)
    except lnnc.UnsupportedError as error:
        pytest.skip(str(error))
    with pytest.raises(lnnc.UnsupportedError, match=match) as caught:
        lnnc.compile(model, dynamic={"x": {1: "time"}})
    assert "input 'x'" in str(caught.value)


def test_positions_that_are_constants():
    refused([("Add", ["x", "p"], ["y"], {})], {"p": f32(6, 4)}, r"'/Add_0'.*a constant")


def test_positions_that_are_computed_from_constants():
    nodes = [("Sin", ["p"], ["s"], {}), ("Add", ["x", "s"], ["y"], {})]
    refused(nodes, {"p": f32(6, 4)}, "'/Add_1'.*Sin node '/Sin_0'")


def test_a_layer_over_time():
    nodes = [("Transpose", ["x"], ["t"], {"perm": [0, 2, 1]}), ("MatMul", ["t", "w"], ["y"], {})]
    refused(nodes, {"w": f32(6, 6)}, "'/MatMul_1'")


def test_time_split_in_a_reshape():
    refused([("Reshape", ["x", "s"], ["y"], {})], {"s": np.array([2, 3, 2, 4])}, "'/Reshape_0'")


def test_time_in_a_flattened_feature():
    nodes = [("Reshape", ["x", "s"], ["f"], {}), ("MatMul", ["f", "w"], ["y"], {})]
    refused(nodes, {"s": np.array([2, 24]), "w": f32(24, 3)}, "'/MatMul_1'")


def test_a_time_in_the_middle():
    nodes = [("Gather", ["x", "i"], ["y"], {"axis": 1})]
    refused(nodes, {"i": np.array(4)}, "'/Gather_0'.*constant position")


@pytest.mark.parametrize("steps", [2, 3])
def test_steps_that_are_no_loop(steps):
    """Too few to be one: the first, the second and the last."""
    nodes, h = [], "z"
    for k in range(steps):
        nodes += [
            ("Gather", ["x", f"i{k}"], [f"x{k}"], {"axis": 1}),
            ("Add", [f"x{k}", h], [f"s{k}"], {}),
            ("Tanh" if k % 2 else "Sin", [f"s{k}"], [f"h{k}"], {}),
        ]
        h = f"h{k}"
    nodes.append(("Identity", [h], ["y"], {}))
    inits = {f"i{k}": np.array(k) for k in range(steps)} | {"z": f32(2, 4)}
    refused(nodes, inits, rf"'/Gather_0'.*its {steps} positions are read", shape=(2, steps, 4))


def test_windows_at_constant_positions():
    """Steps that each read three samples: a loop, over positions that are constants."""
    nodes, h = [], "z"
    for k in range(8):
        nodes += [
            ("Slice", ["x", f"b{k}", f"e{k}", "one"], [f"x{k}"], {}),
            ("ReduceMean", [f"x{k}"], [f"m{k}"], {"axes": [1], "keepdims": 0}),
            ("Add", [f"m{k}", h], [f"s{k}"], {}),
            ("Tanh", [f"s{k}"], [f"h{k}"], {}),
        ]
        h = f"h{k}"
    nodes.append(("Identity", [h], ["y"], {}))
    inits = {f"b{k}": np.array([k]) for k in range(8)}
    inits |= {f"e{k}": np.array([k + 3]) for k in range(8)}
    inits |= {"z": f32(2, 4), "one": np.array([1])}
    refused(nodes, inits, "positions that are constants|constant position", shape=(2, 10, 4))


def test_first_and_last_steps_that_are_apart():
    """A loop between them, which needs both."""
    n, nodes, h, parts = 9, [], "z", []
    for k in range(n):
        kind = "Sin" if k == 0 else "Sigmoid" if k == n - 1 else "Tanh"
        nodes += [
            ("Gather", ["x", f"i{k}"], [f"x{k}"], {"axis": 1}),
            ("Mul", [h, "half"], [f"m{k}"], {}),
            ("Add", [f"x{k}", f"m{k}"], [f"s{k}"], {}),
            (kind, [f"s{k}"], [f"h{k}"], {}),
            ("Unsqueeze", [f"h{k}", "one"], [f"y{k}"], {}),
        ]
        h = f"h{k}"
        parts.append(f"y{k}")
    nodes.append(("Concat", parts, ["y"], {"axis": 1}))
    inits = {f"i{k}": np.array(k) for k in range(n)}
    inits |= {"z": f32(2, 4), "half": np.float32(0.5), "one": np.array([1])}
    model = make_onnx(nodes, {"x": ("f4", (2, n, 4))}, {"y": ("f4", None)}, inits)
    compiled = lnnc.compile(model, dynamic={"x": {1: "time"}})
    for time in (2, 3, 14):
        x = f32(2, time, 4)
        h, want = inits["z"].astype("f8"), []
        for k in range(time):
            s = x[:, k] + 0.5 * h
            h = np.sin(s) if k == 0 else 1 / (1 + np.exp(-s)) if k == time - 1 else np.tanh(s)
            want.append(h)
        np.testing.assert_allclose(compiled(x=x)["y"], np.stack(want, 1), atol=1e-6)
    for time in (0, 1):
        with pytest.raises(lnnc.InputError, match="must be at least"):
            compiled(x=f32(2, time, 4))


def refused_batch(nodes, inits, match):
    model = make_onnx(nodes, {"x": ("f4", [1, 6, 4])}, {"y": ("f4", None)}, inits)
    with pytest.raises(lnnc.UnsupportedError, match=match):
        lnnc.compile(model, dynamic={"x": {0: "batch"}})


def test_a_squeeze_of_what_is_one():
    refused_batch([("Squeeze", ["x"], ["y"], {})], {}, "'/Squeeze_0'.*another rank")


def test_the_only_one_of_a_batch():
    nodes = [("Gather", ["x", "i"], ["y"], {"axis": 0})]
    refused_batch(nodes, {"i": np.array(0)}, "'/Gather_0'.*constant position")


def test_a_state_for_a_batch_of_one():
    nodes = [("Concat", ["x", "h"], ["y"], {"axis": 2})]
    refused_batch(nodes, {"h": f32(1, 6, 2)}, "'/Concat_0'")


def test_a_batch_of_one_joined_with_time_and_parted():
    # [6, 4] to [1, 6, 4]: six times of a batch, or one of six times the batch?
    nodes = [("Reshape", ["x", "flat"], ["f"], {}), ("Reshape", ["f", "back"], ["y"], {})]
    inits = {"flat": np.array([6, 4]), "back": np.array([1, 6, 4])}
    refused_batch(nodes, inits, "'/Reshape_1'")


def test_a_batch_of_one_that_may_become_two_axes():
    refused_batch(
        [("Reshape", ["x", "s"], ["y"], {})], {"s": np.array([1, -1, 6, 4])}, "'/Reshape_0'"
    )


def test_a_resize_to_a_fixed_length():
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [0, 2, 1]}),
        ("Resize", ["t", "", "", "s"], ["y"], {"mode": "nearest"}),
    ]
    refused(nodes, {"s": np.array([2, 4, 6])}, "'/Resize_1'.*whatever that size is")


def test_gpt2_names_its_positions():
    with pytest.raises(lnnc.UnsupportedError, match="Add node 'node_add_1'.*input_ids"):
        lnnc.compile(zoo_path("gpt2_t16_dynamo"), dynamic={"input_ids": {1: "time"}})


def test_the_other_input_of_that_size_is_named():
    with pytest.raises(lnnc.Error, match="timespans in dimension 1"):
        lnnc.compile(zoo_path("cfc_seq_t16"), dynamic={"x": {1: "time"}})


@pytest.mark.parametrize(
    "dynamic,match",
    [
        ({"nosuch": {1: "time"}}, "no input 'nosuch'"),
        ({"x": {3: "time"}}, "3 dimensions"),
        ({"x": {0: "batch", 1: "batch"}}, "is to be the size"),
    ],
)
def test_wrong_requests(dynamic, match):
    model = make_onnx(
        [("Neg", ["x"], ["y"], {})], {"x": ("f4", [2, 6, 4])}, {"y": ("f4", [2, 6, 4])}
    )
    with pytest.raises(lnnc.Error, match=match):
        lnnc.compile(model, dynamic=dynamic)


@pytest.mark.parametrize("dynamic", [{"x": 1}, {"x": {"1": "t"}}, {"x": {1: ""}}, {1: {1: "t"}}])
def test_requests_of_wrong_types(dynamic):
    with pytest.raises(lnnc.InputError, match="dynamic"):
        lnnc.compile(zoo_path("cfc_seq_t16"), dynamic=dynamic)


def test_a_size_that_varies_already_stays():
    m = lnnc.compile(zoo_path("gru_op"), dynamic={"x": {0: "time"}})
    assert m.get_inputs()[0].shape[0] == "time"


@pytest.mark.parametrize("mode", ["constant", "reflect"])
@pytest.mark.parametrize("shape", [[4, 6], ["n", 6], [2, 4, "n"]])
def test_pads_that_an_exporter_turned_around(mode, shape):
    """PyTorch's pads name the last axis first, in pairs; its exporter makes ONNX's of them by a
    matrix: [after, before] rows, reversed, transposed, flattened.
    """
    rank, given = len(shape), np.array([2, 1, 1, 3])[: 2 * min(2, len(shape))]
    nodes = [
        (
            "ConstantOfShape",
            ["missing"],
            ["zeros"],
            {"value": numpy_helper.from_array(np.array([0]))},
        ),
        ("Concat", ["pads", "zeros"], ["all"], {"axis": 0}),
        ("Reshape", ["all", "pairs"], ["matrix"], {}),
        ("Slice", ["matrix", "minus", "lowest", "zero", "minus"], ["reversed"], {}),
        ("Transpose", ["reversed"], ["turned"], {"perm": [1, 0]}),
        ("Reshape", ["turned", "minus"], ["flat"], {}),
        ("Cast", ["flat"], ["onnx_pads"], {"to": 7}),
        ("Pad", ["x", "onnx_pads"], ["y"], {"mode": mode}),
    ]
    initializers = {
        "missing": np.array([2 * rank - len(given)]),
        "pads": given,
        "pairs": np.array([-1, 2]),
        "minus": np.array([-1]),
        "lowest": np.array([-(2**63) + 1]),
        "zero": np.array([0]),
    }
    model = lnnc.compile(
        make_onnx(nodes, {"x": ("f4", shape)}, {"y": ("f4", [None] * rank)}, initializers)
    )
    x = np.random.default_rng(rank).normal(size=[5 if d == "n" else d for d in shape]).astype("f4")
    pairs = [(0, 0)] * (rank - 2) + [(1, 3), (2, 1)]
    np.testing.assert_array_equal(model(x=x)["y"], np.pad(x, pairs, mode=mode))


def test_contents_of_matrices_of_sizes():
    """A matrix made of sizes, cut along both axes, is a shape again."""
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Concat", ["s", "s", "s"], ["six"], {"axis": 0}),
        ("Reshape", ["six", "to"], ["matrix"], {}),
        ("Slice", ["matrix", "starts", "ends", "axes", "steps"], ["part"], {}),
        ("Reshape", ["part", "minus"], ["shape"], {}),
        ("Expand", ["one", "shape"], ["y"], {}),
    ]
    initializers = {
        "to": np.array([3, 2]),
        "starts": np.array([2, 1]),
        "ends": np.array([0, 2]),
        "axes": np.array([0, 1]),
        "steps": np.array([-1, 1]),
        "minus": np.array([-1]),
        "one": np.ones(1, "f4"),
    }
    model = lnnc.compile(
        make_onnx(nodes, {"x": ("f4", ["a", "b"])}, {"y": ("f4", [None, None])}, initializers)
    )
    assert model(x=np.zeros((3, 4), "f4"))["y"].shape == (4, 4)


def test_sizes_that_the_caller_fixes(tmp_path):
    """A model that squeezes what may have size 1 has a rank once the size is known."""
    path = tmp_path / "squeeze.onnx"
    then = onnx.helper.make_graph(
        [onnx.helper.make_node("Squeeze", ["x", "axes"], ["a"])], "then", [],
        [onnx.helper.make_tensor_value_info("a", 1, None)],
    )  # fmt: skip
    other = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["b"])], "other", [],
        [onnx.helper.make_tensor_value_info("b", 1, None)],
    )  # fmt: skip
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Gather", ["s", "one"], ["d"], {"axis": 0}),
        ("Equal", ["d", "one"], ["is_one"], {}),
        ("If", ["is_one"], ["y"], {"then_branch": then, "else_branch": other}),
    ]
    initializers = {"one": np.array(1), "axes": np.array([1])}
    made = make_onnx(nodes, {"x": ("f4", ["n", "m"])}, {"y": ("f4", ["k"])}, initializers)
    del made.graph.output[0].type.tensor_type.shape.dim[:]
    made.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(made, path)
    x = f32(3, 1)
    with pytest.raises(lnnc.UnsupportedError, match="ranks must agree"):
        lnnc.compile(path)
    squeezed = lnnc.compile(path, sizes={"m": 1})
    assert squeezed.get_inputs()[0].shape == ("n", 1)
    np.testing.assert_array_equal(squeezed(x=x)["y"], x[:, 0])
    whole = lnnc.compile(path, sizes={"m": 2, "n": 3})
    assert whole.get_inputs()[0].shape == (3, 2)
    np.testing.assert_array_equal(whole(x=f32(3, 2))["y"], f32(3, 2))
    with pytest.raises(lnnc.CompileError, match="'k'; there is: (n, m|m, n)"):
        lnnc.compile(path, sizes={"k": 1})
    with pytest.raises(lnnc.CompileError, match="n can't be -1"):
        lnnc.compile(path, sizes={"n": -1})
    for sizes in ({"n": "3"}, ["n"]):
        with pytest.raises(lnnc.InputError):
            lnnc.compile(path, sizes=sizes)
    with pytest.raises(lnnc.InputError, match="sizes are given to ONNX models"):
        lnnc.compile(
            "func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> { return %x : tensor<?xf32> }",
            sizes={"n": 1},
        )
    done = subprocess.run(
        [BUILD / "bin/lnnc", path, "--size", "m=1", "-o", tmp_path / "m.so"], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(lnnc.load(tmp_path / "m.so")(x=x)["y"], x[:, 0])
    done = subprocess.run([BUILD / "bin/lnnc", path, "--size", "m"], capture_output=True, text=True)
    assert done.returncode == 2 and "--size takes name=N" in done.stderr
