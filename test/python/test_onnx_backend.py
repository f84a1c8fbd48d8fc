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


def run(node, inputs, opset, *arrays):
    (y,) = onnx_backend.run_model(model(node, inputs, opset), list(arrays))
    return y


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


@pytest.mark.parametrize(
    "op, opset, attrs, want",
    [
        ("Unsqueeze", 11, {"axes": [0]}, X[None]),
        ("Slice", 9, {"starts": [1], "ends": [9], "axes": [1]}, X[:, 1:]),
        ("Clip", 6, {"min": 1.0, "max": 3.0}, X.clip(1, 3)),
        (
            "Pad",
            10,
            {"pads": [0, 1, 0, 0], "value": 7.0},
            np.pad(X, ((0, 0), (1, 0)), constant_values=7),
        ),
        ("ReduceSum", 11, {"axes": [1]}, X.sum(1, keepdims=True)),
        ("Dropout", 7, {"ratio": 0.5}, X),
        ("Softmax", 11, {"axis": 0}, np.exp(X) / np.exp(X).sum()),
    ],
)
def test_forms_of_old_opsets(op, opset, attrs, want):
    node = helper.make_node(op, ["x"], ["y"], **attrs)
    got = run(node, {"x": (TensorProto.FLOAT, (2, 3))}, opset, X)
    np.testing.assert_allclose(got, want, rtol=2e-6)


def test_squeeze_of_old_opsets():
    node = helper.make_node("Squeeze", ["x"], ["y"], axes=[-1])
    got = run(node, {"x": (TensorProto.FLOAT, (6, 1))}, 11, X.reshape(6, 1))
    np.testing.assert_array_equal(got, X.reshape(6))


def documented():
    """The rows of docs/onnx-operators.md: operator -> (tests, passed)."""
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "onnx-operators.md"
    rows = {}
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[1].isdigit():
            rows[cells[0]] = int(cells[1]), int(cells[2])
    return rows


def test_the_page_of_operators_is_true():
    """One of ONNX's node tests of each operator; scripts/onnx_node_tests.py runs them all."""
    first = {}
    for test in onnx_node_tests.load_tests():
        if "_expanded" not in test.name:
            first.setdefault(test.op, test)
    rows = documented()
    results = onnx_node_tests.run_all(list(first.values()), jobs=2, limit=30)
    wrong = []
    for result in results:
        tests, passed = rows.get(result.op, (0, -1))  # another version's operator: either
        wants = "passed" if passed == tests else "refused" if passed == 0 else None
        if result.status not in ((wants,) if wants else ("passed", "refused")):
            wrong.append(f"{result.name}: {result.status}, {result.reason}")
    assert not wrong, "\n".join(wrong)


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
