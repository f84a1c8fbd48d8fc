"""Models with dynamic dimensions, at sizes no reference has, against ONNX Runtime."""

import numpy as np
import pytest
from conftest import assert_close, zoo_path

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
