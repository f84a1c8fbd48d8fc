"""Attention and what goes with it, against the equations in float64."""

import lnnc
import numpy as np
import pytest
from onenode import close, one_node, run


def draw(*shape, seed=0):
    return np.random.default_rng(seed + len(shape)).uniform(-1, 1, shape).astype(np.float32)


def attention(
    q, k, v, mask=None, past=None, lengths=None, causal=False, cap=0.0, scale=None, window=(-1, -1)
):
    """(batch, heads, time, size) in float64."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    offset = np.zeros((q.shape[0], 1, 1, 1))
    if past is not None:
        offset += past[0].shape[2]
        k = np.concatenate([past[0], k], 2)
        v = np.concatenate([past[1], v], 2)
    present = k, v
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scores = q @ k.swapaxes(2, 3) * (1 / np.sqrt(q.shape[3]) if scale is None else scale)
    if cap:
        scores = cap * np.tanh(scores / cap)
    allowed = np.ones(scores.shape, bool)
    i, j = np.arange(q.shape[2])[:, None], np.arange(k.shape[2])
    if lengths is not None:
        offset = lengths.reshape(-1, 1, 1, 1) - q.shape[2]
        allowed &= j < lengths.reshape(-1, 1, 1, 1)
    if causal:
        allowed &= j <= i + offset
    if window[0] >= 0:
        allowed &= j >= i + offset - window[0]
    if window[1] >= 0:
        allowed &= j <= i + offset + window[1]
    if mask is not None and mask.dtype == bool:
        allowed &= mask
    elif mask is not None:
        scores = scores + mask
    scores = np.where(allowed, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    p = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = p.sum(-1, keepdims=True)
    p = np.divide(p, total, out=np.zeros_like(p), where=total > 0)
    return p @ v, *present


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
def test_attention(heads, causal, dynamic):
    q, k, v = draw(2, heads[0], 3, 8), draw(2, heads[1], 5, 8), draw(2, heads[1], 5, 6, seed=1)
    if dynamic:  # heads and the head's size are the architecture's
        dynamic = {
            (i, a): n for i in range(3) for a, n in ((0, "b"), (2, "tq" if i == 0 else "tk"))
        }
    (y,) = run("Attention", [q, k, v], is_causal=causal, dynamic=dynamic)
    close(y, attention(q, k, v, causal=causal)[0])


def test_attention_of_packed_heads_and_a_cache():
    q, k, v = draw(2, 3, 4 * 8), draw(2, 3, 2 * 8, seed=1), draw(2, 3, 2 * 6, seed=2)
    past = draw(2, 2, 5, 8, seed=3), draw(2, 2, 5, 6, seed=4)
    split = [x.reshape(2, 3, h, -1).transpose(0, 2, 1, 3) for x, h in ((q, 4), (k, 2), (v, 2))]
    want = attention(*split, past=past, causal=True, cap=2.0, scale=0.5)
    got = run(
        "Attention", [q, k, v, None, *past], outputs=3, is_causal=1, softcap=2.0, scale=0.5,
        q_num_heads=4, kv_num_heads=2,
    )  # fmt: skip
    close(got[0], want[0].transpose(0, 2, 1, 3).reshape(2, 3, -1))
    close(got[1], want[1])
    close(got[2], want[2])


@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 5), (2, 1, 3, 5), (3, 4)])
@pytest.mark.parametrize("boolean", [False, True])
def test_masks(shape, boolean):
    q, k, v = draw(2, 4, 3, 8), draw(2, 4, 5, 8, seed=1), draw(2, 4, 5, 8, seed=2)
    mask = draw(*shape, seed=5)
    mask = mask > -0.3 if boolean else mask
    whole = mask
    if shape[-1] < 5:  # what a mask is too short for takes no part
        pad = [(0, 0)] * (len(shape) - 1) + [(0, 5 - shape[-1])]
        whole = np.pad(mask, pad, constant_values=False if boolean else -np.inf)
    (y,) = run("Attention", [q, k, v, mask])
    close(y, attention(q, k, v, mask=whole)[0])


def test_a_row_without_a_key_is_zero():
    q, k, v = draw(1, 1, 3, 4), draw(1, 1, 3, 4, seed=1), draw(1, 1, 3, 4, seed=2)
    mask = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]], bool)
    (y,) = run("Attention", [q, k, v, mask])
    assert not y[0, 0, 1].any()
    close(y, attention(q, k, v, mask=mask)[0])


@pytest.mark.parametrize("window", [(1, -1), (-1, 1), (2, 0), (0, 0)])
def test_windows_and_lengths(window):
    q, k, v = draw(2, 2, 4, 8), draw(2, 2, 7, 8, seed=1), draw(2, 2, 7, 8, seed=2)
    lengths = np.array([4, 6], np.int64)
    (y,) = run(
        "Attention", [q, k, v, None, None, None, lengths], opset=25,
        left_window_size=window[0], right_window_size=window[1],
    )  # fmt: skip
    close(y, attention(q, k, v, lengths=lengths, window=window)[0])


def test_attention_refuses():
    q = draw(1, 2, 3, 4)
    for inputs, attrs, message in [
        ([q[0], q[0], q[0]], {}, "num_heads"),
        ([q, q, q, None, q], {}, "past_value"),
        ([q, draw(1, 3, 3, 4), draw(1, 3, 3, 4)], {}, "share"),
        ([q, q, q], {"qk_matmul_output_mode": 7}, "qk_matmul_output_mode"),
    ]:
        with pytest.raises(lnnc.Error, match=message):
            lnnc.compile(one_node("Attention", inputs, dynamic=False, **attrs))


def rotary(x, cos, sin, interleaved, turned):
    """(batch, time, heads, size) and caches (batch, time, size)."""
    x = x.astype(np.float64)
    part, rest = x[..., :turned], x[..., turned:]
    a = part[..., 0::2] if interleaved else part[..., : turned // 2]
    b = part[..., 1::2] if interleaved else part[..., turned // 2 :]
    cos, sin = cos[:, :, None], sin[:, :, None]
    pair = cos * a - sin * b, sin * a + cos * b
    part = np.stack(pair, -1).reshape(part.shape) if interleaved else np.concatenate(pair, -1)
    return np.concatenate([part, rest], -1)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("turned", [0, 4])
def test_rotary_embedding(interleaved, packed, turned):
    x = draw(2, 5, 3, 8)
    size = (turned or 8) // 2
    angles = draw(9, size, seed=2) * 3
    at = np.random.default_rng(1).integers(0, 9, (2, 5))
    want = rotary(x, np.cos(angles)[at], np.sin(angles)[at], interleaved, turned or 8)
    given = x.reshape(2, 5, 24) if packed else x.transpose(0, 2, 1, 3)
    attrs = {"num_heads": 3} if packed else {}
    (y,) = run(
        "RotaryEmbedding", [given, np.cos(angles), np.sin(angles), at], interleaved=interleaved,
        rotary_embedding_dim=turned, dynamic={(0, 0): "b", (3, 0): "b"}, **attrs,
    )  # fmt: skip
    close(y, want.reshape(2, 5, 24) if packed else want.transpose(0, 2, 1, 3))


def linear_attention(q, k, v, state, decay, beta, scale):
    """(batch, time, heads, size), one step after another."""
    group = q.shape[2] // k.shape[2]
    out = []
    for t in range(q.shape[1]):
        if decay is not None:
            state = state * np.exp(decay[:, t])[..., None]
        value = v[:, t]
        if beta is not None:
            value = beta[:, t][..., None] * (value - np.einsum("bhkv,bhk->bhv", state, k[:, t]))
        state = state + k[:, t][..., None] * value[:, :, None]
        read = np.repeat(state, group, 1)
        out.append(scale * np.einsum("bhkv,bhk->bhv", read, q[:, t]))
    return np.stack(out, 1), state


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("heads", [(2, 2), (4, 2)])
@pytest.mark.parametrize("past", [False, True])
def test_linear_attention(rule, heads, past):
    b, t, dk, dv = 2, 6, 4, 5
    q, k, v = draw(b, t, heads[0], dk), draw(b, t, 2, dk, seed=1), draw(b, t, 2, dv, seed=2)
    state = draw(b, 2, dk, dv, seed=3) if past else np.zeros((b, 2, dk, dv), np.float32)
    decay = -np.abs(draw(b, t, 2, dk, seed=4)) if "gated" in rule else None
    beta = np.abs(draw(b, t, 2, seed=5)) if "delta" in rule else None
    wide = [None if x is None else x.astype(np.float64) for x in (q, k, v, state, decay, beta)]
    want = linear_attention(*wide, 1 / np.sqrt(dk))
    flat = [x.reshape(b, t, -1) for x in (q, k, v)]
    inputs = [
        *flat, state if past else None,
        None if decay is None else decay.reshape(b, t, -1), beta,
    ]  # fmt: skip
    while inputs[-1] is None:
        inputs.pop()
    dynamic = {(i, 1): "t" for i in (0, 1, 2, 4, 5)} | {(i, 0): "b" for i in range(6)}
    y, last = run(
        "LinearAttention", inputs, outputs=2, opset=27, dynamic=dynamic, update_rule=rule,
        q_num_heads=heads[0], kv_num_heads=2,
    )  # fmt: skip
    close(y, want[0].reshape(b, t, -1))
    close(last, want[1])


@pytest.mark.parametrize("activation", ["none", "silu"])
@pytest.mark.parametrize("width", [1, 4])
def test_causal_conv_with_state(activation, width):
    x, w, bias = draw(2, 3, 7), draw(3, 1, width, seed=1), draw(3, seed=2)
    past = draw(2, 3, width - 1, seed=3)
    padded = np.concatenate([past, x], 2).astype(np.float64)
    want = sum(padded[:, :, k : k + 7] * w[None, :, 0, k : k + 1] for k in range(width))
    want = want + bias[None, :, None]
    if activation == "silu":
        want = want / (1 + np.exp(-want))
    dynamic = {(0, 2): "t"}

    def conv(x, past):
        inputs = [x, w, bias, past]
        return run(
            "CausalConvWithState", inputs, outputs=2, opset=27, consts=(1, 2), dynamic=dynamic,
            activation=activation,
        )  # fmt: skip

    y, state = conv(x, past)
    close(y, want)
    np.testing.assert_array_equal(state, padded[:, :, 7:].astype(np.float32))
    # In two parts: the same bits.
    first, middle = conv(x[:, :, :3], past)
    second, last = conv(x[:, :, 3:], middle)
    np.testing.assert_array_equal(np.concatenate([first, second], 2), y)
    np.testing.assert_array_equal(last, state)
