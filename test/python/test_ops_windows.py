"""Pools, transposed convolutions and resizing, against loops in float64."""

import itertools

import lnnc
import numpy as np
import pytest
from onenode import close, one_node, run


def draw(*shape, seed=0):
    return np.random.default_rng(seed + len(shape)).uniform(-1, 1, shape).astype(np.float32)


def placed(size, kernel, stride, dilation, before, after, ceil=False, auto=None):
    """(padding before, number of windows) of one dimension."""
    extent = dilation * (kernel - 1) + 1
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        out = -(-size // stride)
        total = max((out - 1) * stride + extent - size, 0)
        return (total // 2 if auto == "SAME_UPPER" else total - total // 2), out
    if auto == "VALID":
        before = after = 0
    span = size + before + after - extent
    out = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (out - 1) * stride >= size + before:
        out -= 1
    return before, out


def pool(x, op, kernel, strides, dilations, pads, ceil=False, count_pad=False, auto=None, p=2):
    n = len(kernel)
    places = [
        placed(
            x.shape[2 + i], kernel[i], strides[i], dilations[i], pads[i], pads[n + i], ceil, auto
        )
        for i in range(n)
    ]
    y = np.zeros(x.shape[:2] + tuple(o for _, o in places))
    at = np.zeros(y.shape, np.int64)
    for out in itertools.product(*(range(o) for _, o in places)):
        values, flat, count = [], [], 0
        for k in itertools.product(*map(range, kernel)):
            spot = [
                o * s + d * j - b for o, s, d, j, (b, _) in zip(out, strides, dilations, k, places)
            ]
            inside = all(0 <= c < size for c, size in zip(spot, x.shape[2:]))
            padded = all(
                -b <= c < size + a
                for c, size, (b, _), a in zip(spot, x.shape[2:], places, pads[n:])
            )
            count += inside or (count_pad and padded)
            if inside:
                values.append(x[(slice(None), slice(None), *spot)].astype(np.float64))
                flat.append(np.ravel_multi_index(spot, x.shape[2:]))
        where = (slice(None), slice(None), *out)
        if op == "MaxPool":
            y[where] = np.max(values, 0)
            base = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2]) * np.prod(x.shape[2:])
            at[where] = np.array(flat)[np.argmax(values, 0)] + base
        elif op == "AveragePool":
            y[where] = np.sum(values, 0) / count
        else:
            y[where] = np.sum(np.abs(values) ** p, 0) ** (1 / p)
    return y, at


WINDOWS = [
    ((3,), (1,), (1,), (0, 0)),
    ((3,), (2,), (1,), (1, 1)),
    ((3, 2), (2, 1), (1, 1), (1, 0, 0, 1)),
    ((2, 3), (1, 2), (2, 1), (1, 1, 1, 2)),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("kernel, strides, dilations, pads", WINDOWS)
def test_pools(kernel, strides, dilations, pads, ceil, dynamic):
    x = draw(2, 3, *(9, 8)[: len(kernel)])
    shape = {
        "kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads,
        "ceil_mode": ceil,
    }  # fmt: skip
    geometry = kernel, strides, dilations, pads, bool(ceil)
    y, at = run("MaxPool", [x], outputs=2, dynamic=dynamic, **shape)
    want = pool(x, "MaxPool", *geometry)
    close(y, want[0], 0)
    np.testing.assert_array_equal(at, want[1])
    for count in (0, 1):
        (y,) = run("AveragePool", [x], dynamic=dynamic, count_include_pad=count, **shape)
        close(y, pool(x, "AveragePool", *geometry, count_pad=bool(count))[0])
    (y,) = run("LpPool", [x], dynamic=dynamic, p=3, **shape)
    close(y, pool(x, "LpPool", *geometry, p=3)[0])


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_automatic_padding(auto, dynamic):
    x = draw(1, 2, 7, 6)
    geometry = (3, 2), (2, 1), (1, 1), (0, 0, 0, 0)
    for op in ("MaxPool", "AveragePool"):
        (y,) = run(op, [x], dynamic=dynamic, kernel_shape=(3, 2), strides=(2, 1), auto_pad=auto)
        close(y, pool(x, op, *geometry, auto=auto)[0])


def test_pools_of_integers_and_columns():
    x = np.random.default_rng(0).integers(0, 256, (1, 2, 5, 4), np.uint8)
    (y,) = run("MaxPool", [x], kernel_shape=(2, 2), opset=12)
    close(y, pool(x, "MaxPool", (2, 2), (1, 1), (1, 1), (0,) * 4)[0], 0)
    x = draw(1, 1, 3, 4)
    _, at = run("MaxPool", [x], outputs=2, kernel_shape=(2, 2), storage_order=1)
    want = pool(x, "MaxPool", (2, 2), (1, 1), (1, 1), (0,) * 4)[1]
    np.testing.assert_array_equal(at, want % 4 * 3 + want // 4)


@pytest.mark.parametrize("dynamic", [False, True])
def test_global_pools(dynamic):
    x = draw(2, 3, 4, 5)
    wide = x.astype(np.float64)
    (y,) = run("GlobalAveragePool", [x], dynamic=dynamic)
    close(y, wide.mean((2, 3), keepdims=True))
    (y,) = run("GlobalMaxPool", [x], dynamic=dynamic)
    close(y, wide.max((2, 3), keepdims=True), 0)
    (y,) = run("GlobalLpPool", [x], dynamic=dynamic, p=1)
    close(y, np.abs(wide).sum((2, 3), keepdims=True))


def conv_transpose(x, w, bias, strides, dilations, pads, more, group, shape=None):
    n = x.ndim - 2
    extents = [d * (k - 1) + 1 for d, k in zip(dilations, w.shape[2:])]
    full = [s * (i - 1) + e + m for s, i, e, m in zip(strides, x.shape[2:], extents, more)]
    before, after = list(pads[:n]), list(pads[n:])
    if shape:
        total = [max(f - s, 0) for f, s in zip(full, shape)]
        after = [t // 2 for t in total]
        before = [t - a for t, a in zip(total, after)]
    inner, outer = x.shape[1] // group, w.shape[1]
    y = np.zeros((x.shape[0], outer * group, *full))
    for at in itertools.product(*map(range, x.shape[2:])):
        for k in itertools.product(*map(range, w.shape[2:])):
            spot = tuple(a * s + j * d for a, s, j, d in zip(at, strides, k, dilations))
            for g in range(group):
                rows = slice(g * inner, (g + 1) * inner)
                part = x[(slice(None), rows, *at)].astype(np.float64) @ w[(rows, slice(None), *k)]
                y[(slice(None), slice(g * outer, (g + 1) * outer), *spot)] += part
    crop = tuple(slice(b, f - a) for b, f, a in zip(before, full, after))
    y = y[(slice(None), slice(None), *crop)]
    return y if bias is None else y + bias.reshape(1, -1, *[1] * n)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    "kernel, strides, dilations, pads, more, group",
    [
        ((3,), (1,), (1,), (0, 0), (0,), 1),
        ((4,), (2,), (1,), (1, 1), (0,), 1),
        ((3,), (3,), (2,), (2, 0), (1,), 2),
        ((2,), (4,), (1,), (0, 0), (0,), 1),
        ((3, 3), (2, 1), (1, 2), (1, 0, 1, 2), (1, 0), 1),
        ((2, 3), (1, 2), (1, 1), (2, 1, 0, 3), (0, 1), 4),
    ],
)
def test_conv_transpose(kernel, strides, dilations, pads, more, group, dynamic):
    x = draw(2, 4, *(6, 5)[: len(kernel)])
    w, bias = draw(4, 3, *kernel, seed=1), draw(3 * group, seed=2)
    if dynamic:
        dynamic = {(0, 0): "b", (0, 2): "t"}
    (y,) = run(
        "ConvTranspose", [x, w, bias], consts=(1, 2), dynamic=dynamic, strides=strides,
        dilations=dilations, pads=pads, output_padding=more, group=group,
    )  # fmt: skip
    close(y, conv_transpose(x, w, bias, strides, dilations, pads, more, group))


def test_conv_transpose_of_an_asked_shape():
    x, w = draw(1, 2, 3, 3), draw(2, 2, 3, 3, seed=1)
    geometry = (3, 2), (1, 1), (0,) * 4, (0, 0), 1
    (y,) = run("ConvTranspose", [x, w], strides=(3, 2), output_shape=(8, 7))
    close(y, conv_transpose(x, w, None, *geometry, shape=(8, 7)))
    (y,) = run("ConvTranspose", [x, w], strides=(3, 2), auto_pad="SAME_LOWER")
    close(y, conv_transpose(x, w, None, *geometry, shape=(9, 6)))


def source(y, size, out, scale, transform):
    width = size * scale
    if transform == "asymmetric":
        return y / scale
    if transform == "align_corners":
        return 0 if width == 1 else y * (size - 1) / (width - 1)
    if transform == "pytorch_half_pixel" and width == 1:
        return -0.5
    x = (y + 0.5) / scale - 0.5
    if transform == "half_pixel_symmetric":
        x += size / 2 * (1 - out / width)
    return x


def near(d, a=-0.75):
    """The cubic kernel within one element, and from one to two."""
    return ((a + 2) * d - (a + 3)) * d * d + 1


def far(d, a=-0.75):
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


def resize_axis(x, axis, out, scale, mode, transform, nearest="round_prefer_floor"):
    """One axis, element by element."""
    x = np.moveaxis(x.astype(np.float64), axis, 0)
    rows = []
    for y in range(out):
        c = source(y, len(x), out, scale, transform)
        if mode == "nearest":
            i = {
                "floor": np.floor(c), "ceil": np.ceil(c), "round_prefer_floor": np.ceil(c - 0.5),
                "round_prefer_ceil": np.floor(c + 0.5),
            }[nearest]  # fmt: skip
            rows.append(x[int(np.clip(i, 0, len(x) - 1))])
            continue
        left = int(np.floor(c))
        f = c - left
        if mode == "linear":
            weights = {0: 1 - f, 1: f}
        else:
            weights = {-1: far(1 + f), 0: near(f), 1: near(1 - f), 2: far(2 - f)}
        rows.append(sum(w * x[np.clip(left + k, 0, len(x) - 1)] for k, w in weights.items()))
    return np.moveaxis(np.array(rows), 0, axis)


TRANSFORMS = (
    "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric",
)  # fmt: skip


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_to_sizes(mode, transform, dynamic):
    x = draw(1, 2, 5, 7)
    (y,) = run(
        "Resize", [x, None, None, np.array([1, 2, 8, 3], np.int64)], consts=(3,), dynamic=dynamic,
        mode=mode, coordinate_transformation_mode=transform,
    )  # fmt: skip
    want = resize_axis(x, 2, 8, 8 / 5, mode, transform)
    close(y, resize_axis(want, 3, 3, 3 / 7, mode, transform))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("nearest", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("scale", [2.0, 1.5, 0.5])
def test_resize_by_scales(scale, nearest, dynamic):
    x = draw(1, 2, 7)
    scales = np.array([1, 1, scale], np.float32)
    attrs = {"mode": "nearest", "nearest_mode": nearest}
    (y,) = run("Resize", [x, None, scales], consts=(2,), dynamic=dynamic, **attrs)
    close(y, resize_axis(x, 2, int(7 * scale), scale, "nearest", "half_pixel", nearest), 0)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(mode):
    x = draw(1, 1, 3, 4)
    scales = np.array([1, 1, 2, 3], np.float32)
    want = resize_axis(x, 2, 6, 2, mode, "asymmetric", "floor")
    want = resize_axis(want, 3, 12, 3, mode, "asymmetric", "floor")
    (y,) = run("Upsample", [x, scales], consts=(1,), opset=9, mode=mode)
    close(y, want)
    (y,) = run("Upsample", [x], opset=7, mode=mode, scales=scales.tolist())
    close(y, want)
    (y,) = run("Resize", [x, scales], consts=(1,), opset=10, mode=mode)
    close(y, want)


def test_refusals():
    x = draw(1, 1, 4)
    with pytest.raises(lnnc.UnsupportedError, match="scale"):
        model = one_node("Resize", [x, None, np.float32([1, 1, 1.37])], (2,), dynamic=True)
        lnnc.compile(model)
    with pytest.raises(lnnc.CompileError, match="kernel_shape"):
        lnnc.compile(one_node("MaxPool", [x], dynamic=False))
    with pytest.raises(lnnc.CompileError, match="positive"):
        model = one_node("Resize", [x, None, np.float32([1, 1, -1])], (2,), dynamic=False)
        lnnc.compile(model)
