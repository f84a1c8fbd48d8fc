"""Models with dynamic dimensions, at sizes no reference has, against ONNX Runtime."""

import lnnc
import numpy as np
import pytest
from conftest import assert_close, zoo_path
from onnx import TensorProto, helper, numpy_helper

CELL = [dict(batch=b) for b in (1, 2, 3, 17, 64)]
SEQUENCE = [dict(time=t, batch=b) for t, b in ((1, 1), (2, 1), (7, 3), (40, 33))]
SIZES = {
    "cfc_cell": CELL,
    "ltc_cell_ncp19": CELL,
    "gru_op": SEQUENCE,
    "lstm_op": SEQUENCE,
    "rnn_tanh_op": SEQUENCE,
    "ctrnn_feedback_loop": [dict(time=t) for t in (1, 5, 200)],
    "ltc_scan_dynamic": [dict(time=t, batch=b) for t, b in ((1, 1), (9, 5), (64, 18))],
}


def draw(rng, name, shape):
    """Inputs as a model gets them: time steps are positive."""
    low = 0.05 if name in ("ts", "dt", "timespans") else -1
    return rng.uniform(low, 1, shape).astype("f4")


@pytest.mark.parametrize("name", sorted(SIZES))
def test_agrees_with_onnxruntime(name, zoo_model):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = str(zoo_path(name))
    reference = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = zoo_model(name)
    rng = np.random.default_rng(7)
    for sizes in SIZES[name]:
        inputs = {
            v.name: draw(rng, v.name, [sizes.get(d, d) for d in v.shape])
            for v in reference.get_inputs()
        }
        names = [v.name for v in reference.get_outputs()]
        assert_close(model.run(inputs), dict(zip(names, reference.run(names, inputs))))


@pytest.mark.parametrize("name", ["cfc_cell", "ltc_cell_ncp19"])
def test_lanes_do_not_depend_on_each_other(name, zoo_model):
    model = zoo_model(name)
    rng = np.random.default_rng(5)
    inputs = {
        info.name: draw(rng, info.name, [33 if d == "batch" else d for d in info.shape])
        for info in model.get_inputs()
    }
    whole = model.run(inputs)
    for start, stop in ((0, 1), (1, 8), (8, 33)):
        part = model.run({k: v[start:stop] for k, v in inputs.items()})
        for key, value in part.items():
            assert value.tobytes() == whole[key][start:stop].tobytes(), (key, start, stop)


@pytest.mark.parametrize("width", [3, 40, 300])
def test_rows_left_over_by_blocks_have_the_bits_of_rows_alone(width):
    """Two loops over rows whose number is not known, and which no buffer has side by side."""
    rng = np.random.default_rng(width)
    w = rng.standard_normal((2, 24, width)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Einsum", ["x", "w"], ["y"], equation="tsbk,skn->tbn")],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["time", 2, "batch", 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["time", "batch", width])],
        [numpy_helper.from_array(w, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    model = lnnc.compile(helper.make_model(graph, opset_imports=opset, ir_version=8))
    x = rng.standard_normal((13, 2, 13, 24)).astype(np.float32)
    one = [
        [model.run({"x": x[t : t + 1, :, b : b + 1]})["y"] for b in range(13)] for t in range(13)
    ]
    alone = np.concatenate([np.concatenate(row, 1) for row in one])
    want = np.einsum("tsbk,skn->tbn", x.astype("f8"), w.astype("f8"))
    np.testing.assert_allclose(alone, want, atol=2e-5)
    for time, batch in [
        (1, 2),
        (2, 1),
        (3, 3),
        (4, 4),
        (5, 1),
        (1, 7),
        (6, 5),
        (13, 13),
        (0, 3),
        (3, 0),
    ]:
        got = model.run({"x": x[:time, :, :batch].copy()})["y"]
        assert got.tobytes() == alone[:time, :batch].tobytes(), (time, batch)
