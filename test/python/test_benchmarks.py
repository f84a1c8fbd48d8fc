"""The comparison with other engines: its models, its equations, and a run of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, zoo_sets

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def harness():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import equations
        import models
    finally:
        sys.path.remove(str(BENCHMARKS))
    return models, equations


def numpy_library(equations):
    """Equations in float64."""

    def scan(step, state, sequences):
        outputs = []
        for values in zip(*sequences):
            state, output = step(state, values)
            outputs.append(output)
        return state, np.stack(outputs)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    return equations.Library(np, sigmoid, np.transpose, scan, np.float64)


def evaluate(harness, model):
    models, equations = harness
    function = equations.build(model, numpy_library(equations))
    return function(**{name: np.float64(value) for name, value in model.inputs.items()})


def test_equations_are_those_of_the_zoo(harness):
    models, _ = harness
    for name in models.FORMS:
        model = models.load(name, None)
        want = zoo_sets(name)[0][1]
        assert list(want) == model.output_names()
        for found, expected in zip(evaluate(harness, model), want.values()):
            np.testing.assert_allclose(found, expected, atol=5e-6, err_msg=name)


@pytest.mark.parametrize(
    "kind", ["ltc", "ltc wired", "cfc", "GRU", "LSTM"], ids=lambda k: k.replace(" ", "-")
)
def test_generated_models_are_their_equations(harness, kind, tmp_path):
    import onnxruntime

    models, _ = harness
    path = tmp_path / "model.onnx"
    if kind in ("GRU", "LSTM"):
        model = models.layer_op(path, kind, 5, 3, 7, 11)
    elif kind == "cfc":
        model = models.unrolled(path, "cfc", 5, 3, 7, 11, backbone=13)
    else:
        model = models.unrolled(path, "ltc", 5, 3, 7, 19, wired="wired" in kind)
    run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run
    for found, expected in zip(evaluate(harness, model), run(None, model.inputs)):
        np.testing.assert_allclose(found, expected, atol=5e-6)


def test_a_comparison(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, BENCHMARKS / "compare.py", "--json", figures]
    command += ["--models", "gru_op", "cfc_cell_ncp", "--peers", "lnnc", "onnxruntime", "jax"]
    command += ["--repeats", "2", "--seconds", "0.01", "--python", sys.executable]
    command += ["--markdown", tmp_path / "figures.md"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["rows"]
    assert [row["model"] for row in rows] == ["gru_op", "cfc_cell_ncp"]
    for row in rows:
        for peer in ("lnnc", "onnxruntime"):
            result = row["peers"][peer]
            assert result["error"] < 1e-5 and 0 < result["median_us"] <= result["p99.9_us"]
    assert rows[1]["peers"]["jax"]["refused"].startswith(("not installed", "no JAX form"))
    assert "| gru_op |" in (tmp_path / "figures.md").read_text()


def test_models_that_there_are_not():
    command = [sys.executable, BENCHMARKS / "compare.py", "--models", "nosuch"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "no model 'nosuch'" in done.stderr
