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
