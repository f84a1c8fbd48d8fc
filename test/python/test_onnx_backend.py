"""The ONNX backend interface, and that the runner of ONNX's node tests survives what it runs."""

import os
import pathlib
import signal
import sys
import time

import lnnc
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from lnnc import onnx_backend  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import onnx_node_tests  # noqa: E402

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def model(node, inputs, opset=18):
    infos = [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()]
    graph = helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name="y")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def test_run_node():
    (y,) = onnx_backend.run_node(helper.make_node("Add", ["a", "b"], ["y"]), [X, X])
    np.testing.assert_array_equal(y, X + X)


def test_inputs_by_name_and_their_number():
    rep = onnx_backend.prepare(
        model(
            helper.make_node("Sub", ["a", "b"], ["y"]),
            {"a": (TensorProto.FLOAT, (2, 3)), "b": (TensorProto.FLOAT, (2, 3))},
        )
    )
    np.testing.assert_array_equal(rep.run({"b": X, "a": 2 * X})[0], X)
    with pytest.raises(lnnc.InputError):
        rep.run([X])


def test_a_small_input_becomes_a_constant_and_each_value_counts():
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    rep = onnx_backend.prepare(
        model(node, {"x": (TensorProto.FLOAT, (2, 3)), "axes": (TensorProto.INT64, (1,))})
    )
    for axis in (0, 1, 0):
        (y,) = rep.run([X, np.array([axis], np.int64)])
        np.testing.assert_array_equal(y, X.sum(axis))
    assert rep.specialised == ("axes",)


def test_refusals():
    assert onnx_backend.supports_device("CPU") and not onnx_backend.supports_device("CUDA")
    node = helper.make_node("NoSuchOperator", ["x"], ["y"])
    unknown = model(node, {"x": (TensorProto.FLOAT, (2, 3))})
    assert not onnx_backend.is_compatible(unknown)
    with pytest.raises(lnnc.UnsupportedError, match="NoSuchOperator"):
        onnx_backend.prepare(unknown)


def test_a_crash_and_a_hang_do_not_end_the_run(monkeypatch):
    def fake(test):
        if test.name == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if test.name == "hang":
            time.sleep(60)
        return onnx_node_tests.Result(test.name, "", "passed")

    monkeypatch.setattr(onnx_node_tests, "run_test", fake)
    names = ("first", "crash", "hang", "last")
    tests = [onnx_node_tests.Test(name, "", b"", [], 0, 0) for name in names]
    results = onnx_node_tests.run_all(tests, jobs=1, limit=1)
    assert [r.status for r in results] == ["passed", "CRASHED", "HUNG", "passed"]
