"""Quantization, transforms, losses and small operators, against their equations in float64."""

import lnnc
import ml_dtypes
import numpy as np
import onnx
import pytest
from onenode import close, one_node, run


def draw(*shape, seed=0, low=-1, high=1):
    return np.random.default_rng(seed + len(shape)).uniform(low, high, shape).astype(np.float32)


def integers(kind, *shape, seed=0):
    info = np.iinfo(kind)
    return np.random.default_rng(seed).integers(info.min, info.max, shape, kind, endpoint=True)


#
# Quantization
#


def quantized(x, scale, zero, kind):
    """x and scale in float32, as ONNX divides."""
    info = np.iinfo(kind)
    return np.clip(np.rint(x / scale) + zero, info.min, info.max).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("dynamic", [False, True])
def test_quantize_and_dequantize(kind, dynamic):
    x, scale = draw(3, 4, 5, low=-20, high=20), np.float32(0.11)
    zero = kind(7)
    (q,) = run("QuantizeLinear", [x, scale, zero], dynamic=dynamic)
    np.testing.assert_array_equal(q, quantized(x, scale, 7, kind))
    (y,) = run("DequantizeLinear", [q, scale, zero], dynamic=dynamic)
    close(y, (q.astype(np.float64) - 7) * scale)
    # By channel.
    scales, zeros = draw(4, low=0.05, high=0.3), integers(kind, 4) // 4
    row = (slice(None), slice(None), None)
    (q,) = run("QuantizeLinear", [x, scales, zeros], axis=-2, dynamic=dynamic)
    want = quantized(x, scales[:, None], zeros[:, None].astype(np.int64), kind)
    np.testing.assert_array_equal(q, want)
    (y,) = run("DequantizeLinear", [q, scales, zeros], axis=1, dynamic=dynamic)
    close(y, (q.astype(np.float64) - zeros[row[1:]]) * scales[row[1:]])


def test_quantize_in_blocks():
    x, scales = draw(2, 7, low=-9, high=9), draw(2, 3, seed=1, low=0.1, high=0.2)
    zeros = integers(np.int8, 2, 3) // 4
    (q,) = run("QuantizeLinear", [x, scales, zeros], axis=1, block_size=3)
    wide = [np.repeat(v, 3, 1)[:, :7] for v in (scales, zeros)]
    np.testing.assert_array_equal(q, quantized(x, wide[0], wide[1].astype(np.int64), np.int8))
    (y,) = run("DequantizeLinear", [q, scales, zeros], axis=1, block_size=3)
    close(y, (q.astype(np.float64) - wide[1]) * wide[0])


@pytest.mark.parametrize("low, high", [(-3, 5), (1, 9), (-7, -2), (0, 0)])
def test_dynamic_quantize(low, high):
    x = draw(4, 6, low=low, high=high)
    q, scale, zero = run("DynamicQuantizeLinear", [x], outputs=3, dynamic=True)
    if low == high:
        return  # a scale of 0: anything but an error
    most, least = max(x.max(), np.float32(0)), min(x.min(), np.float32(0))
    want = np.float32((most - least) / np.float32(255))
    assert scale == want
    assert zero == np.clip(np.rint(-least / want), 0, 255)
    np.testing.assert_array_equal(q, quantized(x, want, zero.astype(int), np.uint8))


def test_integer_products():
    a, b = integers(np.uint8, 2, 3, 5), integers(np.int8, 5, 4)
    rows, columns = integers(np.uint8, 3), integers(np.int8, 4, seed=1)
    (y,) = run("MatMulInteger", [a, b, np.uint8(3), columns], dynamic=True)
    want = (a.astype(int) - 3) @ (b.astype(int) - columns)
    np.testing.assert_array_equal(y, want.astype(np.int32))
    (y,) = run("MatMulInteger", [a[0], b, rows])
    np.testing.assert_array_equal(y, (a[0].astype(int) - rows[:, None]) @ b.astype(int))
    scales = [np.float32(v) for v in (0.02, 0.1, 2.5)]
    (y,) = run(
        "QLinearMatMul",
        [a, scales[0], np.uint8(9), b, scales[1], np.int8(-4), scales[2], np.uint8(120)],
    )
    product = ((a.astype(int) - 9) @ (b.astype(int) + 4)) * float(scales[0]) * scales[1] / scales[2]
    assert np.abs(y.astype(int) - np.clip(np.rint(product) + 120, 0, 255)).max() <= 1
    assert np.mean(y == np.clip(np.rint(product) + 120, 0, 255)) > 0.9


def test_integer_convolutions():
    x, w = integers(np.uint8, 1, 2, 6), integers(np.int8, 3, 2, 3)
    wide = np.pad(x.astype(int) - 100, ((0, 0), (0, 0), (1, 1)))
    want = np.stack(
        [np.einsum("oik,nik->no", w.astype(int) - 5, wide[:, :, t : t + 3]) for t in range(6)], 2
    )
    (y,) = run("ConvInteger", [x, w, np.uint8(100), np.int8(5)], pads=(1, 1), dynamic={(0, 2): "t"})
    np.testing.assert_array_equal(y, want)
    bias, scales = integers(np.int16, 3).astype(np.int32), draw(3, low=0.1, high=0.2)
    inputs = [x, np.float32(0.5), np.uint8(100), w, scales, np.int8([5, 5, 5])]
    (y,) = run("QLinearConv", [*inputs, np.float32(30), np.int8(3), bias], pads=(1, 1))
    real = (want + bias[:, None]) * (0.5 * scales.astype(float) / 30)[:, None]
    assert np.abs(y.astype(int) - np.clip(np.rint(real) + 3, -128, 127)).max() <= 1


#
# Transforms
#


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("inverse, onesided", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("length", [None, 7, 12])
def test_dft(opset, inverse, onesided, length):
    parts = 1 if onesided and not inverse else 2
    x = draw(2, 9, 3, parts)
    signal = x[..., 0].astype(np.float64) + (1j * x[..., 1] if parts == 2 else 0)
    f = {(0, 0): np.fft.fft, (0, 1): np.fft.rfft, (1, 0): np.fft.ifft, (1, 1): np.fft.irfft}
    want = f[inverse, onesided](signal, length, axis=1)
    want = want[..., None] if inverse and onesided else np.stack([want.real, want.imag], -1)
    size = None if length is None else np.int64(length)
    attrs = {"axis": 1} if opset == 17 else {}
    inputs = [x, size] + ([] if opset == 17 else [np.int64(1)])
    while inputs[-1] is None:
        inputs.pop()
    (y,) = run(
        "DFT", inputs, consts=(1, 2), opset=opset, inverse=inverse, onesided=onesided,
        dynamic={(0, 0): "b"}, **attrs,
    )  # fmt: skip
    close(y, want, 4e-6)


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("complex_signal", [False, True])
def test_stft(windowed, complex_signal):
    x = draw(2, 50, 2 if complex_signal else 1)
    window = np.hanning(16).astype(np.float32) if windowed else None
    signal = x[..., 0].astype(np.float64) + (1j * x[..., 1] if complex_signal else 0)
    frames = np.stack([signal[:, t : t + 16] for t in range(0, 50 - 16 + 1, 5)], 1)
    want = np.fft.fft(frames * (1 if window is None else window.astype(np.float64)))
    if not complex_signal:
        want = want[..., :9]
    (y,) = run(
        "STFT", [x, np.int64(5), window, np.int64(16)], consts=(1, 2, 3),
        onesided=int(not complex_signal), dynamic={(0, 0): "b", (0, 1): "t"},
    )  # fmt: skip
    close(y, np.stack([want.real, want.imag], -1), 4e-6)


@pytest.mark.parametrize("periodic", [0, 1])
def test_cosine_windows(periodic):
    n = np.arange(11) * 2 * np.pi / (11 if periodic else 10)
    wants = {
        "HannWindow": 0.5 - 0.5 * np.cos(n),
        "HammingWindow": 25 / 46 - 21 / 46 * np.cos(n),
        "BlackmanWindow": 0.42 - 0.5 * np.cos(n) + 0.08 * np.cos(2 * n),
    }
    for op, want in wants.items():
        (y,) = run(op, [np.int64(11)], consts=(0,), periodic=periodic)
        close(y, want, 2e-7)


@pytest.mark.parametrize(
    "bands, length, rate, low, high", [(8, 16, 8192, 0, 4096), (5, 64, 16000, 100, 7600)]
)
def test_mel_weights(bands, length, rate, low, high):
    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    mels = mel(low) + np.arange(bands + 2) * (mel(high) - mel(low)) / (bands + 2)
    corners = np.floor((length + 1) * 700 * (10 ** (mels / 2595) - 1) / rate)
    bins = np.arange(length // 2 + 1.0)
    want = [
        np.interp(bins, corners[i : i + 3], [0, 1, 0], left=0, right=0)
        if len(set(corners[i : i + 3])) == 3
        else None
        for i in range(bands)
    ]
    assert sum(w is not None for w in want) >= 3
    numbers = [np.int64(bands), np.int64(length), np.int64(rate), np.float32(low), np.float32(high)]
    (y,) = run("MelWeightMatrix", numbers, consts=range(5))
    assert y.shape == (len(bins), bands) and y.max() == 1 and y.min() == 0
    for i, w in enumerate(want):
        if w is not None:
            close(y[:, i], w, 1e-7)


def test_mel_weights_of_nonsense():
    with pytest.raises(lnnc.CompileError, match="edges 100.* to 50.* Hz"):
        numbers = [np.int64(8), np.int64(16), np.int64(8192), np.float32(100), np.float32(50)]
        run("MelWeightMatrix", numbers, consts=range(5))


#
# Small operators
#


@pytest.mark.parametrize("dynamic", [False, True])
def test_norms(dynamic):
    x = draw(2, 5, 3, 4)
    wide = x.astype(np.float64)
    (y,) = run("MeanVarianceNormalization", [x], dynamic=dynamic, axes=(0, 2, 3))
    mean, var = wide.mean((0, 2, 3), keepdims=True), wide.var((0, 2, 3), keepdims=True)
    close(y, (wide - mean) / np.sqrt(var), 4e-6)
    for p in (1, 2):
        (y,) = run("LpNormalization", [x], dynamic=dynamic, p=p, axis=1)
        close(y, wide / (np.abs(wide) ** p).sum(1, keepdims=True) ** (1 / p))
    (y,) = run("LpNormalization", [np.zeros((2, 3), np.float32)])
    close(y, np.zeros((2, 3)))
    squares = np.pad(wide**2, ((0, 0), (1, 2), (0, 0), (0, 0)))
    near = sum(squares[:, k : k + 5] for k in range(4))
    (y,) = run("LRN", [x], dynamic=dynamic, size=4, alpha=0.3, beta=0.6, bias=1.5)
    close(y, wide / (1.5 + 0.3 / 4 * near) ** 0.6)
    scale, bias, m, v = draw(5, seed=1), draw(5, seed=2), draw(5, seed=3), draw(5, seed=4, low=0)
    got = run(
        "BatchNormalization", [x, scale, bias, m, v], outputs=3, training_mode=1, momentum=0.7,
        dynamic=dynamic and {(0, 0): "b", (0, 3): "t"}, opset=15,
    )  # fmt: skip
    c = (slice(None), None, None)
    close(got[0], (wide - mean) / np.sqrt(var + 1e-5) * scale[c] + bias[c], 4e-6)
    close(got[1], 0.7 * m + 0.3 * mean.ravel())
    close(got[2], 0.7 * v + 0.3 * var.ravel())


@pytest.mark.parametrize("opset", [11, 13])
def test_hardmax(opset):
    x = np.round(draw(2, 3, 4) * 2)
    flat = x.reshape(2, 12) if opset == 11 else x.transpose(0, 2, 1)
    want = np.zeros(flat.shape)
    np.put_along_axis(want, flat.argmax(-1)[..., None], 1, -1)
    want = want.reshape(2, 3, 4) if opset == 11 else want.transpose(0, 2, 1)
    for dynamic in (False, True):
        close(run("Hardmax", [x], axis=1, opset=opset, dynamic=dynamic)[0], want, 0)


def test_generated():
    for k in (-1, 0, 2):
        (y,) = run("EyeLike", [draw(3, 5)], k=k, dtype=onnx.TensorProto.INT32, dynamic=True)
        np.testing.assert_array_equal(y, np.eye(3, 5, k, np.int32))
    x = draw(5, 4)
    (y,) = run("CenterCropPad", [x, np.array([2, 7])], consts=(1,))
    np.testing.assert_array_equal(y, np.pad(x[1:3], ((0, 0), (1, 2))))
    (y,) = run("NonZero", [np.array([[0, 2, 0], [1, 0, 3]])], consts=(0,))
    np.testing.assert_array_equal(y, [[0, 1, 1], [1, 0, 2]])
    with pytest.raises(lnnc.UnsupportedError, match="depends on data"):
        lnnc.compile(one_node("NonZero", [draw(3)], dynamic=False))
    (y,) = run("CumProd", [x, np.int64(0)], consts=(1,), opset=26, reverse=1, dynamic=True)
    close(y, np.cumprod(x[::-1].astype(np.float64), 0)[::-1])
    a, b = draw(3, 4, seed=1), draw(3, 4, seed=2)
    (y,) = run("SwiGLU", [a, b], opset=28, alpha=1.5, dynamic=True)
    close(y, a / (1 + np.exp(-1.5 * a.astype(np.float64))) * b)


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_tensor_scatter(mode, dynamic):
    past, update = draw(3, 2, 6, 4), draw(3, 2, 3, 4, seed=1)
    starts = np.array([0, 3, 2 if mode == "linear" else 5])
    want = past.copy()
    for b in range(3):
        for t in range(3):
            want[b, :, (starts[b] + t) % 6] = update[b, :, t]
    (y,) = run("TensorScatter", [past, update, starts], mode=mode, dynamic=dynamic)
    np.testing.assert_array_equal(y, want)
    if mode == "linear":
        with pytest.raises(lnnc.Error, match="write index"):
            run("TensorScatter", [past, update, np.array([0, 4, 0])], dynamic=dynamic)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ignore", [None, 1, -3])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(reduction, ignore, weighted):
    x, weights = draw(3, 4, 2), draw(4, seed=1, low=0.1) if weighted else None
    target = np.array([[0, 1], [3, 1], [2, 0]])
    if ignore == -3:
        target[1, 0] = -3
    logs = x - np.log(np.exp(x.astype(np.float64)).sum(1, keepdims=True))
    w = np.ones(4) if weights is None else weights.astype(np.float64)
    scale = np.where(target == ignore, 0, w[np.maximum(target, 0)])
    safe = np.maximum(target, 0)[:, None]
    loss = -np.take_along_axis(logs, safe, 1)[:, 0] * scale
    want = {"none": loss, "sum": loss.sum(), "mean": loss.sum() / scale.sum()}[reduction]
    inputs = [x, target] + ([weights] if weighted else [])
    attrs = {"reduction": reduction} | ({} if ignore is None else {"ignore_index": ignore})
    y, got = run("SoftmaxCrossEntropyLoss", inputs, outputs=2, dynamic=True, **attrs)
    close(y, want)
    close(got, logs)
    (y,) = run("NegativeLogLikelihoodLoss", [logs.astype(np.float32), *inputs[1:]], **attrs)
    close(y, want)


def test_shifts_of_signed_integers():
    x = np.array([-128, -5, 7, 127, -1, 64], np.int8)
    for by in (0, 1, 7, 8, 100, -1):
        y = np.full(6, by, np.int8)
        within = 0 <= by < 8
        (got,) = run("BitShift", [x, y], opset=28, direction="RIGHT")
        np.testing.assert_array_equal(got, x >> (by if within else 7))
        (got,) = run("BitShift", [x, y], opset=28, direction="LEFT")
        want = (x.astype(np.uint8).astype(int) << by) % 256 if within else np.zeros(6)
        np.testing.assert_array_equal(got.view(np.uint8), want)


@pytest.mark.parametrize("fmod", [0, 1])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_float_remainders(fmod, kind):
    special = np.array([0.0, -0.0, 1.5, -1.5, 3, np.inf, -np.inf, np.nan, 7.25, -7.25, 1e-3], kind)
    a, b = (v.ravel() for v in np.meshgrid(special, special))
    (y,) = run("Mod", [a, b], fmod=fmod, opset=28)
    with np.errstate(all="ignore"):
        want = np.fmod(a, b) if fmod else np.mod(a, b)
    np.testing.assert_array_equal(y, want)
    zeros = (want == 0) & (not fmod)
    np.testing.assert_array_equal(np.signbit(y[zeros]), np.signbit(want[zeros]))


#
# Half precision: all values, with and without instructions for them
#


@pytest.mark.parametrize("cpu", [None, "x86-64"])
@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_conversions_of_halves(kind, cpu):
    if cpu == "x86-64" and lnnc_machine() != "x86_64":
        pytest.skip("another processor")
    options = {"cpu": cpu} if cpu else {}
    half = np.arange(65536, dtype=np.uint16).view(kind)
    to = {np.float32: onnx.TensorProto.FLOAT, np.float64: onnx.TensorProto.DOUBLE}
    for wide, number in to.items():
        (y,) = run("Cast", [half], to=number, options=options)
        np.testing.assert_array_equal(y, half.astype(wide))
    # Every half, the middle between it and the next, and a little to each side.
    finite = np.sort(half[np.isfinite(half)].astype(np.float64))
    middle = (finite[1:] + finite[:-1]) / 2
    number = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    for wide in (np.float32, np.float64):
        step = 2.0**-20 if wide == np.float32 else 2.0**-45
        x = np.concatenate([finite, middle, middle * (1 + step), middle * (1 - step)])
        x = np.concatenate([x, [1e30, -1e30, 1e-30, np.inf, -np.inf, np.nan, 65519, 65520, 65521]])
        x = x.astype(wide)
        (y,) = run("Cast", [x], to=number, options=options)
        with np.errstate(all="ignore"):
            want = x.astype(kind) if wide == np.float32 or kind == np.float16 else rounded(x, kind)
        np.testing.assert_array_equal(y.astype(np.float64), want.astype(np.float64))


def rounded(x, kind):
    """float64 to a half, rounded once: to odd in float32 first."""
    single = x.astype(np.float32)
    bits = single.view(np.int32)
    inexact = (single.astype(np.float64) != x) & np.isfinite(x) & (bits % 2 == 0)
    away = np.abs(x) > np.abs(single.astype(np.float64))
    bits = np.where(inexact, bits + np.where(away, 1, -1), bits)
    return bits.astype(np.int32).view(np.float32).astype(kind)


def lnnc_machine():
    import platform

    return platform.machine()
