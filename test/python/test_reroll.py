"""Re-rolling: the same bits with and without it, and loops where there are some.

Raising is off where bits are compared: what it finds depends on the loops.
"""

import pathlib
import re
import subprocess

import lnnc
import numpy as np
import onnx
import onnxruntime
import pytest
import unrolled
from conftest import BUILD, assert_close, assert_same, zoo_path, zoo_sets
from onnx import TensorProto, helper, numpy_helper

ZOO_LOOPS = {
    "ltc_ncp_seq_t16": 16,
    "ltc_seq_external": 8,
    "cfc_seq_t16": 16,
    "cfc_seq_t16_dynamo": 16,
    "cfc_ncp_seq_t20": 20,
    "cfc_mixed_seq_t12": 12,
    "ctrnn_feedback_unrolled_t24": 24,
    "node_euler_grid8": 8,
    "node_midpoint_grid8": 8,
    "node_rk4_grid8": 8,
    "mamba_t16": 16,
    "mamba_t16_dynamo": 16,
}
BIN = pathlib.Path(lnnc.__file__).resolve().parents[2] / "bin"
if not (BIN / "lnn-opt").exists():
    BIN = BUILD / "bin"


def loops(path):
    """(iterations, nodes, states) of each loop that re-rolling finds, as its remarks say."""
    module = subprocess.run(
        [BIN / "lnn-translate", "--import-onnx", path], capture_output=True, check=True
    ).stdout
    said = subprocess.run(
        [BIN / "lnn-opt", "--onnx-reroll=remarks=true", "-o", "/dev/null"],
        input=module,
        capture_output=True,
        check=True,
    ).stderr.decode()
    found = re.findall(r"a loop of (\d+) iterations, (\d+) nodes, (\d+) states", said)
    return [tuple(map(int, numbers)) for numbers in found]


def inputs_of(model):
    random = np.random.default_rng(5)
    return {
        v.name: random.uniform(-1, 1, [d.dim_value for d in v.type.tensor_type.shape.dim]).astype(
            "f4"
        )
        for v in model.graph.input
    }


@pytest.mark.parametrize("name", unrolled.GRAPHS)
def test_graph_keeps_its_bits(name):
    model = unrolled.model(name)
    onnx.checker.check_model(model)
    inputs = inputs_of(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    want = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))
    got = lnnc.compile(model, raise_cells=False).run(inputs)
    assert_same(got, lnnc.compile(model, raise_cells=False, reroll=False).run(inputs))
    assert_close(got, want)
    assert_close(lnnc.compile(model).run(inputs), want)


@pytest.mark.parametrize("name", ZOO_LOOPS)
def test_zoo_keeps_its_bits(name):
    rerolled = lnnc.compile(zoo_path(name), raise_cells=False)
    plain = lnnc.compile(zoo_path(name), raise_cells=False, reroll=False)
    for inputs, outputs in zoo_sets(name):
        got = rerolled.run(inputs)
        assert_same(got, plain.run(inputs))
        assert_close(got, outputs)


@pytest.mark.parametrize("name", unrolled.GRAPHS)
def test_graph_has_its_loops(name, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(unrolled.model(name), path)
    assert max([0, *(trip for trip, _, _ in loops(path))]) == unrolled.LOOPS[name]


@pytest.mark.parametrize("name", ZOO_LOOPS)
def test_zoo_has_its_loops(name):
    assert max(trip for trip, _, _ in loops(zoo_path(name))) == ZOO_LOOPS[name]


def test_sizes_that_steps_and_the_rest_of_the_graph_read():
    """As torchdiffeq's solvers with time as an input of the field.

    The shape of each state is read, the first one's for the solution, too.
    """
    rng = np.random.default_rng(3)
    w = rng.standard_normal((5, 4)).astype("f4") * 0.5
    steps = 9
    constants = {
        "w": w,
        "dt": np.float32(0.1),
        "zero": np.int64(0),
        "one": np.int64(1),
        "axis": np.array([0]),
        "last": np.array([1]),
        "two": np.array([2]),
    }
    constants |= {f"t{k}": np.float32(0.1 * k) for k in range(steps)}
    node, nodes, state = helper.make_node, [], "x"
    for k in range(steps):
        nodes += [
            node("Shape", [state], [f"shape{k}"]),
            node("Gather", [f"shape{k}", "zero"], [f"rows{k}"]),
            node("Unsqueeze", [f"rows{k}", "axis"], [f"count{k}"]),
            node("Concat", [f"count{k}", "last"], [f"column{k}"], axis=0),
            node("Expand", [f"t{k}", f"column{k}"], [f"time{k}"]),
            node("Concat", [state, f"time{k}"], [f"input{k}"], axis=1),
            node("MatMul", [f"input{k}", "w"], [f"product{k}"]),
            node("Tanh", [f"product{k}"], [f"slope{k}"]),
            node("Mul", [f"slope{k}", "dt"], [f"change{k}"]),
            node("Add", [state, f"change{k}"], [f"h{k}"]),
        ]
        state = f"h{k}"
    # A solution of zeros, of the size that the first step has read, and both states in it.
    nodes += [
        node("Gather", ["shape0", "one"], ["width"]),
        node("Unsqueeze", ["width", "axis"], ["columns"]),
        node("Concat", ["two", "count0", "columns"], ["size"], axis=0),
        node("ConstantOfShape", ["size"], ["empty"]),
        node("Shape", [state], ["lastshape"]),
        node("Expand", ["x", "lastshape"], ["first"]),
        node("Unsqueeze", ["first", "axis"], ["begin"]),
        node("Unsqueeze", [state, "axis"], ["end"]),
        node("Concat", ["begin", "end"], ["both"], axis=0),
        node("Add", ["empty", "both"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ode",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, "batch", 4])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rolled, plain = lnnc.compile(model), lnnc.compile(model, reroll=False)
    for batch in (1, 3, 8):
        x = rng.standard_normal((batch, 4)).astype("f4")
        h = x.astype("f8")
        for k in range(steps):
            time = np.full((batch, 1), np.float32(0.1 * k))
            h = h + np.float64(np.float32(0.1)) * np.tanh(np.concatenate([h, time], 1) @ w)
        for compiled in (rolled, plain):
            np.testing.assert_allclose(compiled(x=x)["y"], np.stack([x, h]), atol=1e-6)


def test_a_graph_whose_loops_are_refused_is_compiled_as_it_is():
    """Implicit steps, by iteration to a fixed point, of a field with time as an input."""
    rng = np.random.default_rng(4)
    w = rng.standard_normal((5, 4)).astype("f4") * 0.3
    steps, iterations = 8, 4
    node, nodes, h, parts = helper.make_node, [], "x", ["y"]
    constants = {
        "w": w,
        "bias": np.zeros(4, "f4"),
        "dt": np.float32(0.1),
        "zero": np.array([0]),
        "one": np.array([1]),
    }
    constants |= {f"t{k}": np.float32(0.1 * (k + 1)) for k in range(steps)}
    for k in range(steps):
        z = h
        for i in range(iterations):
            n = f"{k}_{i}"
            nodes += [
                node("Slice", [z, "zero", "one", "one"], [f"c{n}"]),
                node("Shape", [f"c{n}"], [f"s{n}"], start=0),
                node("Expand", [f"t{k}", f"s{n}"], [f"e{n}"]),
                node("Concat", [z, f"e{n}"], [f"i{n}"], axis=-1),
                node("Gemm", [f"i{n}", "w", "bias"], [f"p{n}"]),
                node("Tanh", [f"p{n}"], [f"f{n}"]),
                node("Mul", [f"f{n}", "t0"], [f"d{n}"]),
                node("Add", [h, f"d{n}"], [f"z{n}"]),
            ]
            z = f"z{n}"
        h = z
        nodes.append(node("Unsqueeze", [h, "one"], [f"y{k}"]))
        parts.append(f"y{k}")
    nodes.append(node("Unsqueeze", ["x", "one"], ["first"]))
    nodes.append(node("Concat", ["first", *parts[1:]], ["y"], axis=1))
    graph = helper.make_graph(
        nodes,
        "implicit",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", steps + 1, 4])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    compiled = lnnc.compile(model)
    for batch in (1, 3):
        x = rng.standard_normal((batch, 4)).astype("f4")
        h, want = x.astype("f8"), [x.astype("f8")]
        for k in range(steps):
            z, time = h, np.full((batch, 1), np.float32(0.1 * (k + 1)))
            for _ in range(iterations):
                z = h + np.float64(np.float32(0.1)) * np.tanh(np.concatenate([z, time], 1) @ w)
            h = z
            want.append(h)
        np.testing.assert_allclose(compiled(x=x)["y"], np.stack(want, 1), atol=1e-6)
