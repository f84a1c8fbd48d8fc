"""What the Python tests share: the zoo's models and references, small models made in memory, the
error measure.

The tests use the `lnnc` of the interpreter they run in; without one, that of build/python. LNN_ZOO
names another zoo, LNN_BUILD another build folder, whose tools are tested.
"""

import importlib.util
import os
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ZOO = pathlib.Path(os.environ.get("LNN_ZOO", ROOT / "test" / "zoo"))
BUILD = pathlib.Path(os.environ.get("LNN_BUILD", ROOT / "build"))
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")  # all takes longer, and much address space
TOLERANCE = 2e-6

if importlib.util.find_spec("lnnc") is None:
    sys.path.insert(0, str(BUILD / "python"))

import lnnc  # noqa: E402


def zoo_path(name):
    """The path of a zoo model, or a skip where the zoo is not there."""
    path = ZOO / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def zoo_sets(name):
    """The reference sets of a zoo model: a list of (inputs, outputs), each a dict of arrays."""
    archive = np.load(zoo_path(name).with_suffix(".npz"))
    sets = []
    for i in range(2):
        inputs = {k[len("in0.") :]: archive[k] for k in archive.files if k.startswith(f"in{i}.")}
        outputs = {k[len("out0.") :]: archive[k] for k in archive.files if k.startswith(f"out{i}.")}
        if inputs:
            sets.append((inputs, outputs))
    return sets


def error(got, want):
    """The largest |got - want| / max(1, |want|); infinite where shape, dtype or NaNs differ."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return float("inf")
    finite = np.isfinite(want)
    got, want = got[finite].astype("f8"), want[finite].astype("f8")
    return float(np.max(np.abs(got - want) / np.maximum(1, np.abs(want)), initial=0))


def assert_close(got, want, tolerance=TOLERANCE):
    """Fails where any output differs by more than the tolerance, and says which."""
    assert set(got) == set(want)
    errors = {name: error(got[name], want[name]) for name in want}
    assert all(e <= tolerance for e in errors.values()), errors


def assert_same(got, want):
    """Fails where any output differs in any bit, shape or dtype."""
    assert list(got.keys()) == list(want.keys())
    for name in want.keys():
        assert got[name].dtype == want[name].dtype and got[name].shape == want[name].shape, name
        assert got[name].tobytes() == want[name].tobytes(), name


_compiled = {}


@pytest.fixture
def zoo_model():
    """Compiles zoo models by name; each is compiled once."""

    def get(name):
        if name not in _compiled:
            _compiled[name] = lnnc.compile(zoo_path(name))
        return _compiled[name]

    return get


def make_onnx(nodes, inputs, outputs, initializers=(), opset=17):
    """An onnx.ModelProto. Nodes are (op, inputs, outputs, attributes); inputs and outputs map a
    name to (dtype, shape).
    """
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper

    def value(name, dtype, shape):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [
            helper.make_node(op, i, o, name=f"/{op}_{n}", **a)
            for n, (op, i, o, a) in enumerate(nodes)
        ],
        "model",
        [value(name, *spec) for name, spec in inputs.items()],
        [value(name, *spec) for name, spec in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in dict(initializers).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make_leaky(dtype="f4", batch="batch", size=3):
    """A leaky integrator: h_next = 0.5 h + x, y = 2 h_next. Exact in binary, so tests can compare
    bits.
    """
    half, two = np.asarray(0.5, dtype), np.asarray(2, dtype)
    nodes = [
        ("Mul", ["h", "half"], ["kept"], {}),
        ("Add", ["kept", "x"], ["h_next"], {}),
        ("Mul", ["h_next", "two"], ["y"], {}),
    ]
    spec = (dtype, [batch, size])
    return make_onnx(
        nodes, {"x": spec, "h": spec}, {"y": spec, "h_next": spec}, {"half": half, "two": two}
    )


@pytest.fixture(scope="session")
def leaky():
    """The leaky integrator, compiled."""
    return lnnc.compile(make_leaky())
