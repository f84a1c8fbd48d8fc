"""Inputs that become constants: the branch of an If, sizes, wrong values, the ways to say it."""

import subprocess

import lnnc
import numpy as np
import onnx
import pytest
from conftest import BUILD, make_onnx

BIN = BUILD / "bin"


def f32(*shape):
    return np.random.default_rng(3).uniform(-1, 1, shape).astype("f4")


def by_rate():
    """y = the sum of x, or x, depending on the rate: of two ranks."""
    total = onnx.helper.make_graph(
        [onnx.helper.make_node("ReduceSum", ["x", "axis"], ["a"], keepdims=0)], "total", [],
        [onnx.helper.make_tensor_value_info("a", 1, None)],
    )  # fmt: skip
    same = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["b"])], "same", [],
        [onnx.helper.make_tensor_value_info("b", 1, None)],
    )  # fmt: skip
    nodes = [
        ("Equal", ["rate", "known"], ["is_known"], {}),
        ("If", ["is_known"], ["y"], {"then_branch": total, "else_branch": same}),
    ]
    inputs = {"x": ("f4", ["n", 3]), "rate": ("i8", [])}
    model = make_onnx(
        nodes, inputs, {"y": ("f4", ["k"])}, {"known": np.array(16000), "axis": np.array([1])}
    )
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def scaled(kind="f4", shape=(3,), default=None):
    """y = x + k, k an input."""
    constants = {} if default is None else {"k": np.full(shape, default, kind)}
    return make_onnx(
        [("Add", ["x", "k"], ["y"], {})],
        {"x": (kind, [2, 3]), "k": (kind, list(shape))}, {"y": (kind, [2, 3])}, constants,
    )  # fmt: skip


@pytest.mark.parametrize("rate, want", [(16000, True), (8000, False), (16000.0, True)])
def test_branch(rate, want):
    model, x = by_rate(), f32(4, 3)
    with pytest.raises(lnnc.UnsupportedError, match="ranks must agree"):
        lnnc.compile(model)
    compiled = lnnc.compile(model, freeze={"rate": rate})
    assert [i.name for i in compiled.get_inputs()] == ["x"]
    got = compiled(x=x)["y"]
    np.testing.assert_allclose(got, x.astype("f8").sum(1) if want else x, 1e-6)
    with pytest.raises(lnnc.InputError, match="rate"):
        compiled.run({"x": x, "rate": np.array(16000)})


def test_values():
    x = f32(2, 3)
    for value in (0.5, np.float64(0.5), 2, True, [0.5, 1, 2], np.array([1, 2, 3], "u1"), f32(3)):
        got = lnnc.compile(scaled(), freeze={"k": value})(x=x)["y"]
        np.testing.assert_array_equal(got, x + np.asarray(value).astype("f4"))
    # A default that the graph gives is another value then.
    got = lnnc.compile(scaled(default=7), freeze={"k": 1})(x=x)["y"]
    np.testing.assert_array_equal(got, x + 1)
    np.testing.assert_array_equal(lnnc.compile(scaled(default=7))(x=x)["y"], x + 7)
    for kind, value in (("i1", -128), ("u1", 255), ("i8", -(2**63)), ("f2", 0.5), ("f8", 0.1)):
        model = lnnc.compile(scaled(kind), freeze={"k": value})
        x = np.zeros((2, 3), kind)
        np.testing.assert_array_equal(model(x=x)["y"], np.full((2, 3), value, kind))


@pytest.mark.parametrize(
    "kind, value, message",
    [
        ("f4", [1, 2], r"'k' is \[3\], the value given for it is \[2\]"),
        ("f4", [[1, 2, 3]], r"'k' is \[3\], the value given for it is \[1, 3\]"),
        ("f4", 1e300, "'k' has elements of type float32; 1.*e.300 is none"),
        ("i8", 0.5, "'k' has elements of type int64; 5.*e-01 is none"),
        ("i1", 128, "'k' has elements of type int8; 128 is none"),
        ("u1", -1, "'k' has elements of type uint8; -1 is none"),
        ("i8", float("nan"), "'k' has elements of type int64; nan is none"),
    ],
)
def test_wrong_values(kind, value, message):
    with pytest.raises(lnnc.CompileError, match=message):
        lnnc.compile(scaled(kind), freeze={"k": value})


def test_wrong_names_and_uses():
    with pytest.raises(lnnc.CompileError, match="no input is called 'z'; there is: x, k"):
        lnnc.compile(scaled(), freeze={"z": 1})
    with pytest.raises(lnnc.InputError, match="'k' is no array"):
        lnnc.compile(scaled(), freeze={"k": "fast"})
    with pytest.raises(lnnc.InputError, match="'k' is larger than"):
        lnnc.compile(scaled("u8"), freeze={"k": np.uint64(2**63)})
    with pytest.raises(lnnc.InputError, match="freeze maps inputs to values"):
        lnnc.compile(scaled(), freeze=["k"])
    with pytest.raises(lnnc.InputError, match="inputs of ONNX models can be frozen"):
        lnnc.compile(
            "func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }",
            freeze={"x": 1},
        )
    with pytest.raises(lnnc.CompileError, match="'h'"):
        lnnc.compile(
            make_onnx(
                [("Add", ["x", "h"], ["y"], {})],
                {"x": ("f4", [3]), "h": ("f4", [3])}, {"y": ("f4", [3])}, {},
            ),
            freeze={"h": 0}, states={"h": "y"},
        )  # fmt: skip


def test_sizes_of_the_value():
    """The value's sizes are those of all inputs that share them; one number has none."""
    nodes = [("Add", ["x", "k"], ["y"], {})]
    inputs = {"x": ("f4", ["n", "m"]), "k": ("f4", ["n", 1])}
    model = make_onnx(nodes, inputs, {"y": ("f4", ["n", "m"])}, {})
    compiled = lnnc.compile(model, freeze={"k": [[1], [2]]})
    assert compiled.get_inputs()[0].shape == (2, "m")
    x = f32(2, 5)
    np.testing.assert_array_equal(compiled(x=x)["y"], x + np.array([[1], [2]], "f4"))
    with pytest.raises(lnnc.CompileError, match=r"'k' is \[n, 1\]: one value for all elements"):
        lnnc.compile(model, freeze={"k": 1})
    compiled = lnnc.compile(model, freeze={"k": 1}, sizes={"n": 2})
    np.testing.assert_array_equal(compiled(x=x)["y"], x + 1)
    with pytest.raises(lnnc.CompileError, match=r"is \[3, 1\], the value given for it is \[2, 1\]"):
        lnnc.compile(model, freeze={"k": [[1], [2]]}, sizes={"n": 3})


def test_tools(tmp_path):
    path, x = tmp_path / "m.onnx", f32(4, 3)
    onnx.save(by_rate(), path)
    lnnc_tool = [BIN / "lnnc", path, "-o", tmp_path / "m.so"]
    subprocess.run([*lnnc_tool, "--freeze", "rate=16000"], check=True)
    got = lnnc.load(tmp_path / "m.so")(x=x)["y"]
    np.testing.assert_allclose(got, x.astype("f8").sum(1), 1e-6)
    onnx.save(scaled(), path)
    subprocess.run([*lnnc_tool, "--freeze", "k=[1, -2.5, true]"], check=True)
    got = lnnc.load(tmp_path / "m.so")(x=x[:2])["y"]
    np.testing.assert_array_equal(got, x[:2] + np.array([1, -2.5, 1], "f4"))
    text = subprocess.run(
        [BIN / "lnn-translate", "--import-onnx", path, "--freeze", "k=2"],
        capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    assert "dense<2.000000e+00> : tensor<3xf32>" in text and '"k"' not in text
    bad = ["k", "k=", "=1", "k=[1", "k=1]", "k=[1, [2]]", "k=[[1], 2]", "k=[[1, 2], [3]]", "k=1 2"]
    for text in [*bad, "k=" + "[" * 1000 + "]" * 1000]:
        done = subprocess.run([*lnnc_tool, "--freeze", text], capture_output=True, text=True)
        assert done.returncode == 2 and "--freeze takes name=value" in done.stderr, text
    done = subprocess.run(
        [*lnnc_tool, "--freeze", "k=1", "--freeze", "k=2"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "'k' is given two values" in done.stderr
    done = subprocess.run(
        [BIN / "lnn-translate", "--import-onnx", path, "--freeze", "k"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "--freeze takes name=value" in done.stderr
