"""The Python interface: sources, calls, descriptions, artifacts, threads, ONNX Runtime's
signatures.
"""

import copy
import io
import os
import pickle
import subprocess
import sys
import threading

import lnnc
import numpy as np
import pytest
from conftest import SANITIZED, assert_same, make_leaky, make_onnx, zoo_path, zoo_sets

MLIR = """
func.func @main(%x: tensor<4xf32> {lnn.name = "x"}) -> (tensor<4xf32> {lnn.name = "y"}) {
  %init = tensor.empty() : tensor<4xf32>
  %y = linalg.add ins(%x, %x : tensor<4xf32>, tensor<4xf32>)
                  outs(%init : tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
"""


def leaky_inputs(batch=2):
    rng = np.random.default_rng(0)
    return {name: rng.uniform(-1, 1, (batch, 3)).astype("f4") for name in ("x", "h")}


def test_sources_are_equal(tmp_path):
    proto = make_leaky()
    data = proto.SerializeToString()
    path = tmp_path / "leaky.onnx"
    path.write_bytes(data)
    inputs = leaky_inputs()
    want = lnnc.compile(proto).run(inputs)
    for source in (data, bytearray(data), memoryview(data), str(path), path):
        assert_same(lnnc.compile(source).run(inputs), want)


def test_mlir_text(tmp_path):
    path = tmp_path / "twice.mlir"
    path.write_text(MLIR)
    x = np.arange(4, dtype="f4")
    for source in (MLIR, MLIR.encode(), path):
        assert np.array_equal(lnnc.compile(source).run({"x": x})["y"], 2 * x)


def test_options(tmp_path):
    path = tmp_path / "leaky.onnx"
    path.write_bytes(make_leaky().SerializeToString())
    assert lnnc.compile(path).name == "leaky"
    model = lnnc.compile(path, name="other", target="cpu", cpu="x86-64-v3", features=["+avx2"])
    assert (model.name, model.target, model.cpu) == ("other", "cpu", "x86-64-v3")
    assert "cpu" in lnnc.targets()


def test_external_data_of_a_model_in_memory(zoo_model):
    path = zoo_path("ltc_seq_external")
    inputs, _ = zoo_sets("ltc_seq_external")[0]
    model = lnnc.compile(path.read_bytes(), base_dir=path.parent)
    assert_same(model.run(inputs), zoo_model("ltc_seq_external").run(inputs))


def test_outputs_of_a_call(leaky):
    out = leaky(**leaky_inputs())
    y, h_next = out
    assert out["y"] is out[0] is y and out["h_next"] is out[1] is out[-1] is h_next
    assert len(out) == 2 and out[:1] == (y,)
    assert list(out.keys()) == ["y", "h_next"] and [k for k, _ in out.items()] == ["y", "h_next"]
    assert out.values() == (y, h_next) and dict(out) == {"y": y, "h_next": h_next}
    assert "y" in out and "z" not in out and out.get("z") is None and out.get("y") is y
    assert "h_next=array" in repr(out)
    with pytest.raises(KeyError, match="y, h_next"):
        out["z"]
    with pytest.raises(IndexError):
        out[2]
    assert_same(pickle.loads(pickle.dumps(out)), out)


def test_outputs_of_a_run(leaky):
    inputs = leaky_inputs()
    got = leaky.run(inputs)
    assert type(got) is dict and list(got) == ["y", "h_next"]
    assert np.array_equal(got["h_next"], 0.5 * inputs["h"] + inputs["x"])
    assert all(v.flags.owndata and v.flags.writeable and v.flags.c_contiguous for v in got.values())


def test_outputs_are_the_callers(leaky):
    inputs = leaky_inputs()
    first = leaky.run(inputs)
    kept = {k: v.copy() for k, v in first.items()}
    leaky.run({k: -v for k, v in inputs.items()})
    assert_same(first, kept)


def test_descriptions(leaky):
    x, h = leaky.get_inputs()
    y, h_next = leaky.get_outputs()
    assert (x.name, x.shape, x.dtype, x.role) == ("x", ("batch", 3), np.dtype("f4"), "input")
    assert (h.name, h.role, h.pair, h_next.pair) == ("h", "state", "h_next", "h")
    assert (y.role, y.pair) == ("output", None)
    assert leaky.states == {"h": "h_next"}
    assert "x[batch, 3] float32" in repr(leaky) and "h[batch, 3] float32 (state)" in repr(leaky)


def test_any_strides(leaky):
    inputs = leaky_inputs(6)
    want = leaky.run(inputs)
    x = inputs["x"]
    wide = np.zeros((12, 7), "f4")
    wide[::2, ::3] = x
    backwards = x[::-1, ::-1].copy()
    odd = np.frombuffer(b"\0" + x.tobytes(), "f4", x.size, 1).reshape(x.shape)
    readonly = x.copy()
    readonly.flags.writeable = False
    for strided in (np.asfortranarray(x), wide[::2, ::3], backwards[::-1, ::-1], odd, readonly):
        assert np.array_equal(strided, x)
        assert_same(leaky.run({**inputs, "x": strided}), want)
    row = x[:1]
    assert_same(
        leaky.run({"x": np.broadcast_to(row, (6, 3)), "h": inputs["h"]}),
        leaky.run({"x": np.repeat(row, 6, axis=0), "h": inputs["h"]}),
    )


def test_sizes_zero_and_many(leaky):
    for batch in (0, 1, 1000):
        got = leaky.run(leaky_inputs(batch))
        assert got["y"].shape == (batch, 3)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "i8", "i1", "u1", "?"])
def test_dtypes_pass(dtype):
    spec = (dtype, ["n"])
    nodes = [("Concat", ["x", "x"], ["y"], {"axis": 0})]
    model = lnnc.compile(make_onnx(nodes, {"x": spec}, {"y": (dtype, ["m"])}))
    assert model.get_inputs()[0].dtype == np.dtype(dtype)
    x = np.array([0, 1, 1], dtype)
    y = model.run({"x": x})["y"]
    assert y.dtype == np.dtype(dtype) and np.array_equal(y, np.concatenate([x, x]))


def test_scalars_and_lists_are_refused_or_exact():
    model = lnnc.compile(
        make_onnx([("Add", ["x", "x"], ["y"], {})], {"x": ("f4", [])}, {"y": ("f4", [])})
    )
    got = model.run({"x": np.float32(1.5)})["y"]
    assert got.shape == () and got == 3
    for bad in (1.5, [1.5], None, "x", np.float64(1.5)):
        with pytest.raises(lnnc.InputError, match="x"):
            model.run({"x": bad})


def test_save_and_load(leaky, tmp_path):
    inputs = leaky_inputs()
    leaky.save(tmp_path / "leaky.so")
    leaky.save(str(tmp_path / "leaky.so"))
    assert [p.name for p in tmp_path.iterdir()] == ["leaky.so"]
    for path in (tmp_path / "leaky.so", str(tmp_path / "leaky.so")):
        loaded = lnnc.load(path)
        assert loaded.get_inputs() == leaky.get_inputs()
        assert_same(loaded.run(inputs), leaky.run(inputs))
    (tmp_path / "leaky.so").unlink()
    loaded.save(tmp_path / "again.so")
    assert_same(lnnc.load(tmp_path / "again.so").run(inputs), leaky.run(inputs))


def test_save_to_nowhere(leaky, tmp_path):
    with pytest.raises(OSError):
        leaky.save(tmp_path / "nowhere" / "leaky.so")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(leaky, protocol):
    inputs = leaky_inputs()
    clone = pickle.loads(pickle.dumps(leaky, protocol))
    assert clone.name == leaky.name
    assert_same(clone.run(inputs), leaky.run(inputs))


def test_copies_are_the_model(leaky):
    assert copy.copy(leaky) is leaky and copy.deepcopy(leaky) is leaky


def test_equal_compilations_are_equal_artifacts():
    data = make_leaky().SerializeToString()
    assert pickle.dumps(lnnc.compile(data)) == pickle.dumps(lnnc.compile(data))


def test_threads_share_a_model(zoo_model):
    model = zoo_model("cfc_cell")
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        session, h = model.session(batch=2), np.zeros((2, 32), "f4")
        for _ in range(200):
            x = rng.uniform(-1, 1, (2, 8)).astype("f4")
            ts = rng.uniform(0.1, 1, (2, 1)).astype("f4")
            want = model.run({"x": x, "h": h, "ts": ts})
            h = want["h_next"]
            if session.step(x=x, ts=ts)["y"].tobytes() != want["y"].tobytes():
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_threads_compile():
    data = make_leaky().SerializeToString()
    inputs = leaky_inputs()
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(lnnc.compile(data).run(inputs)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        assert_same(result, results[0])


def test_models_are_freed():
    data = pickle.dumps(lnnc.compile(make_leaky()))

    def maps():
        with open("/proc/self/maps") as file:
            return len(file.readlines())

    for _ in range(5):
        pickle.loads(data)
    before = maps()
    for _ in range(50):
        pickle.loads(data).run(leaky_inputs())
    assert maps() < before + 50


def test_inference_session(tmp_path):
    proto = make_leaky()
    path = tmp_path / "leaky.onnx"
    path.write_bytes(proto.SerializeToString())
    artifact = tmp_path / "leaky.so"
    lnnc.compile(proto).save(artifact)
    inputs = leaky_inputs()
    want = lnnc.compile(proto).run(inputs)
    for source in (path, str(path), path.read_bytes(), artifact, artifact.read_bytes()):
        session = lnnc.InferenceSession(source, providers=["CPUExecutionProvider"])
        y, h_next = session.run(None, inputs)
        assert_same({"y": y, "h_next": h_next}, want)
    assert np.array_equal(session.run(["h_next"], inputs)[0], want["h_next"])
    assert [(v.name, v.type, v.shape) for v in session.get_inputs()] == [
        ("x", "tensor(float)", ["batch", 3]),
        ("h", "tensor(float)", ["batch", 3]),
    ]
    assert [v.name for v in session.get_outputs()] == ["y", "h_next"]
    assert session.get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(lnnc.InputError, match="nope"):
        session.run(["nope"], inputs)


def test_inference_session_describes_as_onnxruntime_does():
    onnxruntime = pytest.importorskip("onnxruntime")
    for name in ("cfc_cell", "gru_op"):
        path = str(zoo_path(name))
        theirs = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        ours = lnnc.InferenceSession(path)
        for a, b in (
            (ours.get_inputs(), theirs.get_inputs()),
            (ours.get_outputs(), theirs.get_outputs()),
        ):
            assert [(v.name, v.type, v.shape) for v in a] == [(v.name, v.type, v.shape) for v in b]


def python(*arguments):
    """Runs this interpreter with this process's lnnc."""
    root = str(lnnc.__path__[0]).removesuffix("/lnnc")
    sanitizer = {k: v for k, v in os.environ.items() if k in ("LD_PRELOAD", "ASAN_OPTIONS")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root, **sanitizer},
        check=False,
    )


def test_import_is_light():
    code = (
        "import numpy, sys, time\n"
        "t = time.perf_counter(); import lnnc; t = time.perf_counter() - t\n"
        "assert not {'lnnc._compiler', 'onnx'} & set(sys.modules)\n"
        "print(t)"
    )
    times = []
    for _ in range(3):
        done = python("-c", code)
        assert done.returncode == 0, done.stderr
        times.append(float(done.stdout))
    assert min(times) < (3 if SANITIZED else 0.3)


def test_main(leaky, tmp_path):
    done = python("-m", "lnnc")
    assert done.returncode == 0 and lnnc.__version__ in done.stdout and "cpu" in done.stdout
    leaky.save(tmp_path / "leaky.so")
    done = python("-m", "lnnc", str(tmp_path / "leaky.so"))
    assert done.returncode == 0 and "state" in done.stdout and "h_next" in done.stdout
    done = python("-m", "lnnc", str(tmp_path / "nothing.onnx"))
    assert done.returncode == 1 and "nothing.onnx" in done.stderr


def test_source_that_is_a_stream():
    with pytest.raises(lnnc.InputError, match="BytesIO"):
        lnnc.compile(io.BytesIO(b""))
