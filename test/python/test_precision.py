"""Options that trade precision for speed: how weights are stored, what products multiply, how
elementary functions are computed. Each keeps to the error that its documentation states."""

import pathlib
import subprocess

import lnnc
import numpy as np
import pytest
from conftest import BUILD, make_onnx, zoo_path, zoo_sets
from math_reference import compile_functions, evaluate


def gemm(w, bias=None):
    """y = x W + b."""
    init = {"w": w} if bias is None else {"w": w, "b": bias}
    model = make_onnx(
        [("Gemm", ["x", *init], ["y"], {})],
        {"x": ("float32", ["batch", w.shape[0]])},
        {"y": ("float32", ["batch", w.shape[1]])},
        init,
    )
    return model.SerializeToString()


def matrices(k, n, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(k, n)).astype("f4")
    w[rng.uniform(size=w.shape) < 0.2] = 0  # a mask's
    return w, rng.normal(size=n).astype("f4")


def within(got, x, w, b, off):
    """|got - (x W + b)| <= |x| off, and what f32 rounds."""
    want = x.astype("f8") @ w + b
    rounding = 2e-6 * (np.abs(x).astype("f8") @ np.abs(w) + np.abs(b))
    assert np.all(np.abs(got - want) <= np.abs(x).astype("f8") @ off + rounding)
    return np.max(np.abs(got - want))


@pytest.mark.parametrize("batch", [1, 7, 40])
@pytest.mark.parametrize("k,n", [(64, 48), (33, 65), (2, 130), (129, 3)])
def test_weights_of_bf16(k, n, batch):
    w, b = matrices(k, n)
    x = np.random.default_rng(1).normal(size=(batch, k)).astype("f4")
    model = lnnc.compile(gemm(w, b), weights="bf16")
    got = model(x=x)["y"]
    # Half a unit in the last of 8 bits, which a last odd row keeps all of.
    off = np.abs(w.astype("f8")) * 2.0**-8
    error = within(got, x, w, b, off)
    assert error > 1e-5, "stored as f32"
    assert (
        got.tobytes()
        == np.concatenate([model(x=x[i : i + 1])["y"] for i in range(batch)]).tobytes()
    )


@pytest.mark.parametrize("batch", [1, 7, 40])
@pytest.mark.parametrize("k,n", [(64, 48), (33, 65), (2, 130), (129, 3)])
def test_weights_of_int8(k, n, batch):
    w, b = matrices(k, n)
    x = np.random.default_rng(1).normal(size=(batch, k)).astype("f4")
    got = lnnc.compile(gemm(w, b), weights="int8")(x=x)["y"]
    scale = np.abs(w.astype("f8")).max(0) / 127
    error = within(got, x, w, b, np.broadcast_to(scale * 0.5001, w.shape))
    assert error > 1e-4, "stored as f32"


def test_weights_that_are_multiples_of_a_scale_are_exact():
    rng = np.random.default_rng(0)
    q = rng.integers(-127, 128, (40, 24))
    q[0] = 127
    x = rng.integers(-8, 9, (3, 40)).astype("f4")
    for scale in (1.0, 0.25):
        w = (q * scale).astype("f4")
        assert np.array_equal(lnnc.compile(gemm(w), weights="int8")(x=x)["y"], x @ w)
    # bf16 has 8 bits; odd rows are such floats together with what is below them: not exact.
    w = (rng.integers(-128, 128, (40, 24))).astype("f4")
    w[1::2] = 0
    got = lnnc.compile(gemm(w), weights="bf16")(x=x)["y"]
    assert np.allclose(got, x @ w, rtol=0, atol=1e-30)


def test_columns_of_zeros_are_zeros():
    w, _ = matrices(64, 8)
    w[:, 3] = 0
    w[:, 5] = 1e-44
    x = np.full((2, 64), 1e35, "f4")
    for kind in ("bf16", "int8"):
        got = lnnc.compile(gemm(w), weights=kind)(x=x)["y"]
        assert np.all(got[:, 3] == 0) and np.all(np.abs(got[:, 5]) < 1e-7)


def test_weights_that_are_not_finite_stay():
    w, b = matrices(32, 32)
    w[3, 4] = np.inf
    x = np.ones((2, 32), "f4")
    for kind in ("bf16", "int8"):
        got = lnnc.compile(gemm(w, b), weights=kind)(x=x)["y"]
        want = lnnc.compile(gemm(w, b))(x=x)["y"]
        assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("weights", ["bf16", "int8"])
@pytest.mark.parametrize("name", ["cfc_cell", "gru_op", "ltc_cell_ncp19"])
def test_bits_do_not_depend_on_the_processor(weights, name):
    path, sets = zoo_path(name), zoo_sets(name)
    cpus = ["x86-64-v2", "x86-64-v3"]
    if "avx512f" in pathlib.Path("/proc/cpuinfo").read_text().split():
        cpus.append("x86-64-v4")
    models = [lnnc.compile(path, cpu=cpu, weights=weights) for cpu in cpus]
    for inputs, want in sets:
        first, *others = [model(**inputs) for model in models]
        for key in want:
            assert np.max(np.abs(first[key] - want[key])) < 0.1
            assert all(other[key].tobytes() == first[key].tobytes() for other in others)


@pytest.mark.parametrize("weights,most", [("bf16", 0.6), ("int8", 0.4)])
def test_artifacts_shrink(weights, most, tmp_path):
    w, b = matrices(512, 512)
    full = lnnc.compile(gemm(w, b)).save(tmp_path / "full.so")
    small = lnnc.compile(gemm(w, b), weights=weights).save(tmp_path / "small.so")
    del full, small
    size = {n: (tmp_path / f"{n}.so").stat().st_size for n in ("full", "small")}
    assert size["small"] < most * size["full"]


@pytest.mark.parametrize("option", ["weights", "products", "math"])
def test_what_there_is_to_choose_from(option):
    w, b = matrices(8, 8)
    with pytest.raises(lnnc.InputError, match=f"{option} cannot be 'f12'; there is: "):
        lnnc.compile(gemm(w, b), **{option: "f12"})


FAST = {
    "math.exp": np.exp,
    "math.tanh": np.tanh,
    "lnn.sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "lnn.silu": lambda x: x / (1 + np.exp(-x)),
    "lnn.gate": lambda x: 1 / (1 + np.exp2(x)),
    "lnn.gate_denominator": lambda x: 1 + np.exp2(np.minimum(x, 62)),
}


@pytest.mark.parametrize("name", FAST)
def test_fast_functions(name):
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-r, r, 50_000) for r in (1e-6, 0.3, 3, 30, 87)]
    x = np.concatenate([*parts, rng.normal(size=10_000) * 1e-30, [0.0]]).astype("f4")
    (got,) = evaluate(compile_functions([name], "f32", math="fast"), x)
    (exact,) = evaluate(compile_functions([name], "f32"), x)
    want = FAST[name](x.astype("f8"))
    error = np.abs(got - want) / np.maximum(np.abs(want), 1e-37)
    assert 1e-6 < np.max(error) < 1e-4
    assert np.max(np.abs(exact - want)) < np.max(np.abs(got - want))
    ends = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 3e38], "f4")
    (got,) = evaluate(compile_functions([name], "f32", math="fast"), ends)
    (exact,) = evaluate(compile_functions([name], "f32"), ends)
    assert np.allclose(got, exact, rtol=1e-4, equal_nan=True)


def test_fast_functions_have_the_same_bits_everywhere():
    x = np.random.default_rng(0).uniform(-100, 100, 10_001).astype("f4")
    cpus = ["x86-64-v2", "x86-64-v3"]
    if "avx512f" in pathlib.Path("/proc/cpuinfo").read_text().split():
        cpus.append("x86-64-v4")
    results = [
        [
            a.tobytes()
            for a in evaluate(compile_functions(list(FAST), "f32", math="fast", cpu=cpu), x)
        ]
        for cpu in cpus
    ]
    assert all(r == results[0] for r in results)


def both_rounded(w):
    """What a product of bf16 may be off by: half a unit in the last of 8 bits, of both."""
    return np.abs(w.astype("f8")) * 2.0**-7.98 + 1e-37


@pytest.mark.parametrize("k,n", [(64, 48), (33, 65), (2, 130), (129, 16), (1056, 32), (2100, 40)])
def test_products_of_bf16(k, n):
    """With a batch that is known only when it runs: few rows, whole blocks and what is between."""
    w, b = matrices(k, n)
    model = lnnc.compile(gemm(w, b), products="bf16")
    off = both_rounded(w)
    for batch in (1, 7, 16, 31, 32, 33, 100):
        x = np.random.default_rng(batch).normal(size=(batch, k)).astype("f4")
        error = within(model(x=x)["y"], x, w, b, off)
        assert error > 1e-5, "products of f32"
        bad = x.copy()
        bad[batch // 2, 0] = np.nan
        got = model(x=bad)["y"]
        assert np.all(np.isnan(got[batch // 2]))
        assert np.all(np.isfinite(np.delete(got, batch // 2, 0)))


@pytest.mark.parametrize("batch", [16, 40, 256])
def test_products_of_bf16_with_a_known_batch(batch):
    w, b = matrices(70, 50)
    x = np.random.default_rng(batch).normal(size=(batch, 70)).astype("f4")
    model = lnnc.compile(gemm(w, b), products="bf16", sizes={"batch": batch})
    within(model(x=x)["y"], x, w, b, both_rounded(w))


def test_products_of_sequences_in_bf16():
    """Rows of two dimensions, in x and in y."""
    w, _ = matrices(24, 20)
    model = make_onnx(
        [("MatMul", ["x", "w"], ["p"], {}), ("Transpose", ["p"], ["y"], {"perm": [1, 0, 2]})],
        {"x": ("float32", ["time", "batch", 24])},
        {"y": ("float32", ["batch", "time", 20])},
        {"w": w},
    )
    model = lnnc.compile(model, products="bf16")
    for shape in ((1, 1), (5, 7), (40, 3)):
        x = np.random.default_rng(0).normal(size=(*shape, 24)).astype("f4")
        got = model(x=x)["y"].transpose(1, 0, 2).reshape(-1, 20)
        within(got, x.reshape(-1, 24), w, np.zeros(20), both_rounded(w))


@pytest.mark.parametrize("name", ["cfc_cell", "gru_op", "lstm_op", "mamba_t16", "cfc_scan"])
def test_models_with_products_of_bf16(name):
    model = lnnc.compile(zoo_path(name), products="bf16")
    for inputs, want in zoo_sets(name):
        got = model(**inputs)
        for key, value in want.items():
            scale = 1 + np.max(np.abs(value))
            assert np.max(np.abs(got[key] - value)) < 0.03 * scale


def test_matrix_tiles_are_code_for_those_who_have_them(tmp_path):
    w, b = matrices(64, 64)
    tool = BUILD / "bin" / "lnnc"
    if not tool.exists():
        pytest.skip(f"no {tool}")
    (tmp_path / "m.onnx").write_bytes(gemm(w, b))
    for cpu, tiles in (("sapphirerapids", True), ("x86-64-v4", False)):
        command = [tool, tmp_path / "m.onnx", "-o", tmp_path / "m.s", "--emit=asm"]
        subprocess.run([*command, f"--mcpu={cpu}", "--products=bf16"], check=True)
        text = (tmp_path / "m.s").read_text()
        assert ("tdpbf16ps" in text) == ("tilerelease" in text) == tiles
    subprocess.run([*command, "--mcpu=sapphirerapids"], check=True)
    assert "tdpbf16ps" not in (tmp_path / "m.s").read_text()
    assert "amx" not in (tmp_path / "m.s").read_text()


def rounded(x):
    """To the nearest bf16, ties to even, by the bits; no NaN among them."""
    bits = np.ascontiguousarray(x, "f4").view("u4").astype("u8")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype("u4").view("f4")


HAS_PAIRS = "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text().split()


@pytest.mark.skipif(not HAS_PAIRS, reason="this processor has no AVX512-BF16")
@pytest.mark.parametrize("k,n", [(16, 16), (64, 48), (129, 20), (130, 257), (301, 130), (600, 33)])
def test_products_of_pairs_are_those_of_what_was_rounded(k, n):
    """Beside rounding both factors, f32's sums are all that is off."""
    w, b = matrices(k, n)
    model = lnnc.compile(gemm(w, b), products="bf16", features="-amx-tile")
    whole = k // 2 * 2  # the last of an odd number of terms is not rounded
    w8 = np.concatenate([rounded(w[:whole]), w[whole:]]).astype("f8")
    for batch in (1, 2, 5, 16, 33, 100):
        x = np.random.default_rng(batch).normal(size=(batch, k)).astype("f4")
        x[0, :8] = [0.0, -0.0, 1e-42, 1 + 2**-8, 1 + 3 * 2**-8, 3e38, -3e38, 2.0**-130]
        x8 = np.concatenate([rounded(x[:, :whole]), x[:, whole:]], axis=1).astype("f8")
        got = model(x=x)["y"]
        want, size = x8 @ w8 + b, np.abs(x8) @ np.abs(w8) + np.abs(b)
        fits = size < 3e38  # else a partial sum may be an infinity
        assert fits[1:].all() and np.all(np.abs(got - want)[fits] <= 2e-6 * size[fits])
        if batch > 1:  # not products of f32
            assert np.max(np.abs(got[1:] - (x.astype("f8") @ w + b)[1:])) > 1e-4


@pytest.mark.skipif(not HAS_PAIRS, reason="this processor has no AVX512-BF16")
def test_products_of_pairs_take_denormals_for_zeros():
    w = np.full((16, 16), 2.0**100, "f4")
    w[0] = 0.5  # not all equal: such a matrix is no constant to be packed
    x = np.full((4, 16), 2.0**-130, "f4")
    x[:, 1] = 2.0**-120
    got = lnnc.compile(gemm(w), products="bf16", features="-amx-tile")(x=x)["y"]
    assert np.all(got == 2.0**-20)


@pytest.mark.skipif(not HAS_PAIRS, reason="this processor has no AVX512-BF16")
def test_products_of_pairs_have_the_same_bits_for_any_number_of_threads():
    w, b = matrices(70, 50)
    for sizes in ({}, {"batch": 48}, {"batch": 49}):
        model = lnnc.compile(gemm(w, b), products="bf16", features="-amx-tile", sizes=sizes)
        for batch in (sizes["batch"],) if sizes else (16, 17, 100):
            x = np.random.default_rng(batch).normal(size=(batch, 70)).astype("f4")
            want = model(x=x)["y"].tobytes()
            for threads in (2, 3):
                split = lnnc.Model(model._artifact, threads=threads)
                assert split(x=x)["y"].tobytes() == want


def test_one_row_of_a_large_matrix_is_not_rounded(tmp_path):
    """Its time is that of the weights' way from memory, whatever is multiplied."""
    tool = BUILD / "bin" / "lnnc"
    if not tool.exists():
        pytest.skip(f"no {tool}")
    for k, n, batch, pairs in (
        (128, 128, 1, True),
        (128, 160, 1, False),
        (128, 160, 2, True),
        (128, 160, None, True),
    ):
        (tmp_path / "m.onnx").write_bytes(gemm(*matrices(k, n)))
        command = [tool, tmp_path / "m.onnx", "-o", tmp_path / "m.s", "--emit=asm"]
        command += ["--mcpu=znver5", "--products=bf16"]
        subprocess.run([*command, *([f"--size=batch={batch}"] if batch else [])], check=True)
        assert ("vdpbf16ps" in (tmp_path / "m.s").read_text()) == pairs


def test_a_block_that_is_asked_for_changes_no_bit(tmp_path):
    w, b = matrices(64, 50)
    tool = BUILD / "bin" / "lnnc"
    if not tool.exists():
        pytest.skip(f"no {tool}")
    (tmp_path / "m.onnx").write_bytes(gemm(w, b))
    x = np.random.default_rng(0).normal(size=(13, 64)).astype("f4")
    want = lnnc.compile(gemm(w, b))(x=x)["y"].tobytes()
    for block in ("3,2", "1,1", "0,3", "8,0", "16,16"):
        command = [tool, tmp_path / "m.onnx", "-o", tmp_path / "m.so", f"--block={block}"]
        subprocess.run(command, check=True)
        assert lnnc.load(tmp_path / "m.so")(x=x)["y"].tobytes() == want
    for block in ("3", "1,2,3", "17,1", "-1,1"):
        command = [tool, tmp_path / "m.onnx", "-o", tmp_path / "m.so", f"--block={block}"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode != 0 and "each up to 16" in done.stderr
