"""Every zoo model against PyTorch's outputs: compiled, saved and loaded."""

import time

import lnnc
import onnx
import pytest
from conftest import SANITIZED, ZOO, assert_close, assert_same, zoo_path, zoo_sets

MODELS = sorted(p.stem for p in ZOO.glob("*.onnx"))


def most_seconds(name):
    """To compile: cells and loops are small, what was unrolled and whole networks are not."""
    nodes = len(onnx.load(zoo_path(name), load_external_data=False).graph.node)
    network = name.startswith(("gpt2", "lfm2", "mamba", "mtlnn"))
    return 15 if network or nodes > 150 else 2


@pytest.mark.parametrize("name", MODELS)
def test_agrees_without_raising(name):
    model = lnnc.compile(zoo_path(name), raise_cells=False)
    for inputs, outputs in zoo_sets(name):
        assert_close(model.run(inputs), outputs)


@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_pytorch(name, tmp_path):
    start = time.process_time()  # not the clock's: other tests and programs may be running
    model = lnnc.compile(zoo_path(name))
    assert SANITIZED or time.process_time() - start < most_seconds(name)
    model.save(tmp_path / "model.so")
    loaded = lnnc.load(tmp_path / "model.so")
    for inputs, outputs in zoo_sets(name):
        got = model.run(inputs)
        assert_close(got, outputs)
        assert_same(loaded.run(inputs), got)
        assert_same(model(**inputs), got)
