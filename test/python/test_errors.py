"""What is refused: one clear message each, of the right class, and the process goes on."""

import pathlib
import random
import subprocess

import lnnc
import numpy as np
import pytest
from conftest import BUILD, make_leaky, make_onnx, zoo_path
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="module")
def data():
    return make_leaky().SerializeToString()


def compiles(leaky):
    """The process goes on."""
    x = np.ones((1, 3), "f4")
    assert np.array_equal(leaky(x=x, h=x)["h_next"], 1.5 * x)


def test_classes():
    assert issubclass(lnnc.CompileError, lnnc.Error) and issubclass(lnnc.LoadError, lnnc.Error)
    assert issubclass(lnnc.UnsupportedError, lnnc.CompileError)
    assert issubclass(lnnc.InputError, lnnc.Error) and issubclass(lnnc.InputError, ValueError)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda x, h: {"x": x}, ["h", "missing"]),
        (lambda x, h: {}, ["x"]),
        (lambda x, h: {"x": x, "h": h, "nope": x}, ["nope"]),
        (lambda x, h: {"x": x.astype("f8"), "h": h}, ["x", "float64", "float32"]),
        (lambda x, h: {"x": x.astype("i4"), "h": h}, ["x", "int32", "float32"]),
        (lambda x, h: {"x": x.astype(">f4"), "h": h}, ["x"]),
        (lambda x, h: {"x": x.astype("O"), "h": h}, ["x"]),
        (lambda x, h: {"x": x[:, :2], "h": h}, ["x", "2", "3"]),
        (lambda x, h: {"x": x[0], "h": h}, ["x"]),
        (lambda x, h: {"x": x[None], "h": h}, ["x"]),
        (lambda x, h: {"x": x, "h": h[:1]}, ["batch", "1", "2"]),
        (lambda x, h: {"x": None, "h": h}, ["x"]),
        (lambda x, h: {"x": x.tolist(), "h": h}, ["x"]),
        (lambda x, h: {1: x, "h": h}, ["1"]),
    ],
)
def test_inputs_that_do_not_fit(leaky, change, words):
    x = np.ones((2, 3), "f4")
    with pytest.raises(lnnc.InputError) as caught:
        leaky.run(change(x, x))
    message = str(caught.value)
    assert len(message) > 10 and all(word in message for word in words), message
    compiles(leaky)


@pytest.mark.parametrize("inputs", [None, 3, "x", [1], ("x", "h")])
def test_inputs_that_are_no_mapping(leaky, inputs):
    with pytest.raises((lnnc.InputError, TypeError)):
        leaky.run(inputs)


def test_a_mapping_that_is_no_dict(leaky):
    import types

    x = np.ones((1, 3), "f4")
    got = leaky.run(types.MappingProxyType({"x": x, "h": x}))
    assert np.array_equal(got["h_next"], 1.5 * x)


@pytest.mark.parametrize(
    "source", [b"", b"hello\n" * 100, b"\0" * 4096, b"\x3a" * 100000, "module {", "{"]
)
def test_damaged_sources(leaky, source):
    with pytest.raises(lnnc.Error) as caught:
        lnnc.compile(source)
    assert len(str(caught.value)) > 10
    compiles(leaky)


def test_truncated_and_changed_bytes(leaky, data):
    rng = random.Random(0)
    for i in range(60):
        if i % 2:
            bad = data[: rng.randrange(len(data))]
        else:
            bad = bytearray(data)
            for _ in range(rng.choice([1, 4, 16])):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            lnnc.compile(bytes(bad))
        except lnnc.Error as error:
            assert len(str(error)) > 10
    compiles(leaky)


@pytest.mark.parametrize("path", ["nothing.onnx", "/proc/nothing.onnx", "."])
def test_files_that_cannot_be_read(path):
    with pytest.raises(lnnc.Error):
        lnnc.compile(pathlib.Path(path))
    with pytest.raises(lnnc.LoadError):
        lnnc.load(path)
    with pytest.raises(lnnc.Error):
        lnnc.InferenceSession(path)


def test_all_unsupported_ops_are_named():
    spec = ("f4", [2])
    nodes = [("NoSuchOp", ["x"], ["a"], {}), ("NorThisOne", ["a"], ["y"], {})]
    with pytest.raises(lnnc.UnsupportedError) as caught:
        lnnc.compile(make_onnx(nodes, {"x": spec}, {"y": spec}))
    assert "NoSuchOp" in str(caught.value) and "NorThisOne" in str(caught.value)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(target="toaster"), ["toaster", "cpu"]),
        (dict(cpu="toaster"), ["toaster"]),
        (dict(states={"h": "nowhere"}), ["nowhere"]),
        (dict(states={"nobody": "h_next"}), ["nobody"]),
        (dict(states={"h": 3}), ["3"]),
    ],
)
def test_options_that_do_not_fit(data, options, words):
    with pytest.raises(lnnc.Error) as caught:
        lnnc.compile(data, **options)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("source", [None, 3, 1.5, object()])
def test_sources_of_a_wrong_type(source):
    with pytest.raises(lnnc.InputError, match="ModelProto"):
        lnnc.compile(source)


def test_external_data_outside_the_folder(tmp_path):
    onnx = pytest.importorskip("onnx")
    proto = make_leaky()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(lnnc.CompileError, match="passwd"):
        lnnc.compile(tmp_path / "model.onnx")


def test_damaged_artifacts(leaky, tmp_path):
    leaky.save(tmp_path / "good.so")
    good = (tmp_path / "good.so").read_bytes()
    bad = tmp_path / "bad.so"
    for size in (0, 3, 4, 63, 64, 200, len(good) // 2, len(good) - 1):
        bad.write_bytes(good[:size])
        with pytest.raises(lnnc.LoadError) as caught:
            lnnc.load(bad)
        assert len(str(caught.value)) > 10
    bad.write_bytes(b"hello\n" * 1000)
    with pytest.raises(lnnc.LoadError):
        lnnc.load(bad)
    bad.write_bytes(zoo_path("cfc_cell").read_bytes())
    with pytest.raises(lnnc.LoadError):
        lnnc.load(bad)
    compiles(leaky)


def test_a_check_of_the_model_that_fails(leaky):
    """Gather with an index that is out of range is only seen when it runs."""
    nodes = [("Gather", ["x", "i"], ["y"], {"axis": 0})]
    inputs = {"x": ("f4", [3]), "i": ("i8", ["n"])}
    model = lnnc.compile(make_onnx(nodes, inputs, {"y": ("f4", ["n"])}))
    x = np.arange(3, dtype="f4")
    with pytest.raises(lnnc.InputError):
        model.run({"x": x, "i": np.array([0, 7])})
    assert np.array_equal(model.run({"x": x, "i": np.array([2, 0])})["y"], x[[2, 0]])
    compiles(leaky)


def test_an_artifact_for_a_processor_with_more_features(leaky, tmp_path):
    """Compiling for it is fine; loading it here names what is missing."""
    if "avx512f" in pathlib.Path("/proc/cpuinfo").read_text().split():
        pytest.skip("this processor has AVX-512")
    tool = BUILD / "bin" / "lnnc"
    if not tool.exists():
        pytest.skip(f"no {tool}")
    (tmp_path / "m.onnx").write_bytes(make_leaky().SerializeToString())
    command = [tool, tmp_path / "m.onnx", "-o", tmp_path / "m.so", "--mcpu=x86-64-v4"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(lnnc.LoadError, match="avx512.*lacks"):
        lnnc.load(tmp_path / "m.so")
    compiles(leaky)


def test_versions_for_several_processors(leaky, tmp_path):
    """The best that runs here is taken, in whichever order they are named."""
    path = tmp_path / "m.onnx"
    path.write_bytes(make_leaky().SerializeToString())
    wide = "avx512f" in pathlib.Path("/proc/cpuinfo").read_text().split()
    best = "x86-64-v4" if wide else "x86-64-v3"
    x, h = np.ones((2, 3), "f4"), np.full((2, 3), 2, "f4")
    for cpu in ("x86-64-v3,x86-64-v4", "x86-64-v4,x86-64-v2,x86-64-v3"):
        model = lnnc.compile(path, cpu=cpu)
        assert model.cpu == best
        assert np.array_equal(model(x=x, h=h)["y"], np.full((2, 3), 4, "f4"))
    if not wide:
        with pytest.raises(lnnc.LoadError, match="x86-64-v4 and needs .*, and for .*lacks"):
            lnnc.compile(path, cpu="x86-64-v4,sapphirerapids")
    with pytest.raises(lnnc.InputError, match="toaster"):
        lnnc.compile(path, cpu="x86-64-v3,toaster")
    with pytest.raises(lnnc.InputError, match="without a name"):
        lnnc.compile(path, cpu="x86-64-v3,")
    tool = BUILD / "bin" / "lnnc"
    done = subprocess.run(
        [tool, path, "--mcpu=x86-64-v3,x86-64-v4", "--emit=asm"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "a shared object only" in done.stderr
    compiles(leaky)


def test_a_check_that_fails_in_a_branch_ends_the_run():
    """The sizes of what follows it would be negative."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((64, 1, 256)).astype("f4")
    branch = lambda name, scale: helper.make_graph(  # noqa: E731
        [
            helper.make_node("Mul", ["x", scale], [f"{name}_x"]),
            helper.make_node("Conv", [f"{name}_x", "w"], [f"{name}_c"], name="filter"),
            helper.make_node("Relu", [f"{name}_c"], [f"{name}_r"]),
            helper.make_node("Conv", [f"{name}_r", "v"], [name], pads=[1, 1]),
        ],
        name,
        [],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
    )
    graph = helper.make_graph(
        [
            helper.make_node(
                "If", ["c"], ["y"],
                then_branch=branch("a", "one"), else_branch=branch("b", "two"),
            )
        ],
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "time"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 32, "t"])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(rng.standard_normal((32, 64, 3)).astype("f4"), "v"),
            numpy_helper.from_array(np.float32(1), "one"),
            numpy_helper.from_array(np.float32(2), "two"),
        ],
    )  # fmt: skip
    model = lnnc.compile(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    )
    good = {"c": np.array(True), "x": rng.standard_normal((2, 1, 300)).astype("f4")}
    want = model.run(good)["y"]
    for time in (1, 100, 254) * 20:
        with pytest.raises(lnnc.Error, match="filter.*must not be smaller than the kernel"):
            model.run({"c": np.array(time > 1), "x": np.ones((3, 1, time), "f4")})
    assert model.run(good)["y"].tobytes() == want.tobytes()
