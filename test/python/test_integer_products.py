"""Products of 8-bit integers: exact, with VNNI and without, whatever their zero points."""

import pathlib

import lnnc
import numpy as np
import pytest
from conftest import make_onnx

FLAGS = pathlib.Path("/proc/cpuinfo").read_text().split()
CPUS = [{}, {"features": "-avx512vnni,-avxvnni"}, {"cpu": "x86-64-v3"}]
if "avx_vnni" in FLAGS:
    CPUS.append({"cpu": "x86-64-v3", "features": "+avxvnni"})


def whole(dtype):
    return np.iinfo(dtype).min, np.iinfo(dtype).max + 1


def draw(rng, dtype, shape):
    """Of all numbers, the outermost among them."""
    x = rng.integers(*whole(dtype), shape).astype(dtype)
    x.flat[:: max(1, x.size // 7)] = np.iinfo(dtype).min
    x.flat[1 :: max(1, x.size // 5)] = np.iinfo(dtype).max
    return x


def matmul_integer(x_type, w, x_zero, w_zero, batch="batch"):
    init = {"w": w, "xz": np.array(x_zero, x_type), "wz": np.array(w_zero, w.dtype)}
    return make_onnx(
        [("MatMulInteger", ["x", "w", "xz", "wz"], ["y"], {})],
        {"x": (x_type, [batch, w.shape[0]])},
        {"y": ("int32", [batch, w.shape[1]])},
        init,
    )


@pytest.mark.parametrize("cpu", CPUS, ids=str)
@pytest.mark.parametrize("w_type,w_zero", [("i1", 0), ("i1", 3), ("u1", 128), ("u1", 100)])
@pytest.mark.parametrize("x_type,x_zero", [("u1", 0), ("u1", 131), ("i1", 0), ("i1", -7)])
def test_sums_are_exact(x_type, x_zero, w_type, w_zero, cpu):
    rng = np.random.default_rng(0)
    for k, n in ((64, 48), (16, 16), (20, 33), (1024, 130), (30, 20)):
        w = draw(rng, w_type, (k, n))
        model = lnnc.compile(matmul_integer(x_type, w, x_zero, w_zero), **cpu)
        for batch in (1, 6, 40):
            x = draw(rng, x_type, (batch, k))
            want = (x.astype("i8") - x_zero) @ (w.astype("i8") - w_zero)
            assert np.array_equal(model(x=x)["y"], want)


def test_sums_without_an_end_to_them():
    """They do not stop at what fits into 16 bits, as products of pairs would."""
    k = 4096
    w = np.full((k, 16), -128, "i1")
    w[:, 1] = 127
    model = lnnc.compile(matmul_integer("u1", w, 0, 0))
    x = np.full((2, k), 255, "u1")
    assert np.array_equal(model(x=x)["y"], x.astype("i8") @ w.astype("i8"))


@pytest.mark.parametrize("cpu", CPUS[:2], ids=str)
def test_zero_points_for_each_row_and_column(cpu):
    rng = np.random.default_rng(1)
    w = draw(rng, "i1", (32, 24))
    xz, wz = rng.integers(0, 256, 5).astype("u1"), rng.integers(-9, 9, 24).astype("i1")
    x = draw(rng, "u1", (5, 32))
    want = (x.astype("i8") - xz[:, None]) @ (w.astype("i8") - wz)
    for x_zero in (xz, np.array(77, "u1")):
        model = make_onnx(
            [("MatMulInteger", ["x", "w", "xz", "wz"], ["y"], {})],
            {"x": ("u1", [5, 32])},
            {"y": ("int32", [5, 24])},
            {"w": w, "xz": x_zero, "wz": wz},
        )
        want = (x.astype("i8") - x_zero.reshape(-1, 1)) @ (w.astype("i8") - wz)
        assert np.array_equal(lnnc.compile(model, **cpu)(x=x)["y"], want)


@pytest.mark.parametrize("cpu", CPUS[:2], ids=str)
def test_layers_that_quantize_as_they_go(cpu):
    """DynamicQuantizeLinear, MatMulInteger and scales, as ONNX Runtime's quantizer exports them."""
    rng = np.random.default_rng(2)
    w, ws = draw(rng, "i1", (64, 48)), rng.uniform(0.001, 0.01, 48).astype("f4")
    model = make_onnx(
        [
            ("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], {}),
            ("MatMulInteger", ["q", "w", "z"], ["i"], {}),
            ("Cast", ["i"], ["f"], {"to": 1}),
            ("Mul", ["s", "ws"], ["m"], {}),
            ("Mul", ["f", "m"], ["y"], {}),
        ],
        {"x": ("f4", ["batch", 64])},
        {"y": ("f4", ["batch", 48])},
        {"w": w, "ws": ws},
    )
    model = lnnc.compile(model, **cpu)
    for batch in (1, 9):
        x = rng.normal(size=(batch, 64)).astype("f4")
        low, high = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
        s = (high - low) / np.float32(255)
        z = np.clip(np.rint(-low / s), 0, 255)
        q = np.clip(np.rint(x / s) + z, 0, 255).astype("i8")
        want = (q - int(z)) @ w.astype("i8") * (s.astype("f8") * ws)
        got = model(x=x)["y"]
        assert np.allclose(got, want, rtol=1e-6, atol=0)
