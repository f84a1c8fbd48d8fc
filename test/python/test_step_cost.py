"""Steps of compiled models take no memory, no lock and no system call."""

import os
import re
import subprocess

import lnnc
import pytest
from conftest import BUILD, ZOO

# With states, of each kind of code: cells, loops over time, matrices, scratch.
MODELS = ["ltc_cell_ncp19", "ltc_scan_dynamic", "cfc_cell", "cfc_seq_t16", "ctrnn_feedback_loop"]


def tool(name):
    """A program of the build that Python runs from."""
    path = BUILD / "bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not built")
    return path


@pytest.mark.parametrize("name", MODELS)
def test_steps_of_models(name, tmp_path):
    path = tmp_path / "m.so"
    model = lnnc.compile(ZOO / f"{name}.onnx")
    assert model.states
    model.save(path)
    done = subprocess.run(
        [tool("StepCostTests"), "--gtest_filter=StepCostOfModel.*"],
        env={**os.environ, "LNN_STEP_MODEL": str(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "1 test" in done.stdout and "SKIPPED" not in done.stdout


def test_latency(tmp_path):
    """lnn-run --latency tells steps beside an empty loop."""
    path = tmp_path / "m.so"
    lnnc.compile(ZOO / "ltc_cell_ncp19.onnx").save(path)
    command = [tool("lnn-run"), path, "--latency", "20000"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(text)
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert list(lines) == ["empty", "run", "step"]
    for line in lines.values():
        names = re.findall(r"(median|p90|p99|p99\.9|min|max) (\d+\.\d+)", line)
        values = {name: float(value) for name, value in names}
        assert list(values) == ["median", "p90", "p99", "p99.9", "min", "max"]
        assert values["min"] <= values["median"] <= values["p99"] <= values["max"]
    median = [float(re.search(r"median (\S+)", lines[k])[1]) for k in ("empty", "step")]
    assert median[0] < median[1]
