"""If, Loop and Scan in the forms that exporters and people write, against NumPy."""

import lnnc
import numpy as np
import pytest
from onnx import TensorProto as P
from onnx import helper as H
from onnx import numpy_helper

V = H.make_tensor_value_info
RNG = np.random.default_rng(3)


def f32(*shape):
    return RNG.uniform(-1, 1, shape).astype("f4")


def const(name, value, dtype):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def model(nodes, inputs, outputs, init=(), opset=17):
    graph = H.make_graph(nodes, "g", inputs, outputs, list(init))
    return H.make_model(graph, opset_imports=[H.make_opsetid("", opset)], ir_version=8)


# ---- If ----


def branches(then_nodes, else_nodes, out="r"):
    return dict(
        then_branch=H.make_graph(then_nodes, "t", [], [V(out, P.FLOAT, None)]),
        else_branch=H.make_graph(else_nodes, "e", [], [V(out, P.FLOAT, None)]),
    )


def test_if_at_run_time():
    bodies = branches([H.make_node("Add", ["x", "x"], ["r"])], [H.make_node("Neg", ["x"], ["r"])])
    m = lnnc.compile(
        model(
            [H.make_node("If", ["c"], ["y"], **bodies)],
            [V("x", P.FLOAT, [3]), V("c", P.BOOL, [])],
            [V("y", P.FLOAT, [3])],
        )
    )
    x = f32(3)
    assert np.array_equal(m.run({"x": x, "c": np.array(True)})["y"], x + x)
    assert np.array_equal(m.run({"x": x, "c": np.array(False)})["y"], -x)


def test_if_with_a_known_condition_and_different_ranks():
    bodies = branches(
        [H.make_node("Squeeze", ["x", "ax"], ["r"])], [H.make_node("Identity", ["x"], ["r"])]
    )
    m = lnnc.compile(
        model(
            [H.make_node("If", ["c"], ["y"], **bodies)],
            [V("x", P.FLOAT, [1, 3])],
            [V("y", P.FLOAT, None)],
            [const("c", True, bool), const("ax", [0], "i8")],
        )
    )
    x = f32(1, 3)
    assert np.array_equal(m.run({"x": x})["y"], x[0])


def test_if_whose_branches_differ_in_size():
    bodies = branches(
        [H.make_node("Slice", ["x", "zero", "two"], ["r"])], [H.make_node("Neg", ["x"], ["r"])]
    )
    m = lnnc.compile(
        model(
            [H.make_node("If", ["c"], ["r0"], **bodies), H.make_node("Mul", ["r0", "k"], ["y"])],
            [V("x", P.FLOAT, [5]), V("c", P.BOOL, [])],
            [V("y", P.FLOAT, ["n"])],
            [const("zero", [0], "i8"), const("two", [2], "i8"), const("k", 3, "f4")],
        )
    )
    x = f32(5)
    assert np.array_equal(m.run({"x": x, "c": np.array(True)})["y"], x[:2] * np.float32(3))
    assert np.array_equal(m.run({"x": x, "c": np.array(False)})["y"], -x * np.float32(3))


# ---- Loop ----


def loop_body(nodes, carried, outs, init=()):
    """carried: the carried inputs' value infos; outs: those of the results behind the condition."""
    return H.make_graph(
        nodes,
        "b",
        [V("i", P.INT64, []), V("c", P.BOOL, []), *carried],
        [V("co", P.BOOL, []), *outs],
        list(init),
    )


CONTINUE = H.make_node("Identity", ["c"], ["co"])


def counted(m_value=None, m_input=False):
    body = loop_body(
        [
            CONTINUE,
            H.make_node("Gather", ["x", "i"], ["xi"], axis=0),
            H.make_node("Add", ["h", "xi"], ["hn"]),
            H.make_node("Mul", ["hn", "hn"], ["sq"]),
        ],
        [V("h", P.FLOAT, [4])],
        [V("hn", P.FLOAT, [4]), V("sq", P.FLOAT, [4])],
    )
    inputs = [V("x", P.FLOAT, ["time", 4]), V("h0", P.FLOAT, [4])]
    init = [const("t", True, bool)]
    if m_input:
        inputs.append(V("m", P.INT64, []))
    else:
        init.append(const("m", m_value, "i8"))
    return model(
        [H.make_node("Loop", ["m", "t", "h0"], ["hl", "ys"], name="the_loop", body=body)],
        inputs,
        [V("hl", P.FLOAT, [4]), V("ys", P.FLOAT, ["n", 4])],
        init,
    )


def counted_reference(x, h, n):
    ys = []
    for t in range(n):
        h = h + x[t]
        ys.append(h * h)
    return h, np.array(ys, "f4").reshape(n, 4)


def test_loop_with_constant_count_and_scan_output():
    m = lnnc.compile(counted(6))
    x, h = f32(6, 4), f32(4)
    got = m.run({"x": x, "h0": h})
    want = counted_reference(x, h, 6)
    assert np.array_equal(got["hl"], want[0]) and np.array_equal(got["ys"], want[1])


@pytest.mark.xfail(strict=True, reason="M that is data is refused where outputs depend on it")
@pytest.mark.parametrize("n", [0, 1, 5])
def test_loop_with_count_from_an_input(n):
    m = lnnc.compile(counted(m_input=True))
    x, h = f32(5, 4), f32(4)
    got = m.run({"x": x, "h0": h, "m": np.array(n)})
    want = counted_reference(x, h, n)
    assert np.array_equal(got["hl"], want[0]) and np.array_equal(got["ys"], want[1])


@pytest.mark.xfail(strict=True, reason="M that is data is refused where outputs depend on it")
def test_loop_index_out_of_range_is_an_error():
    m = lnnc.compile(counted(m_input=True))
    with pytest.raises(lnnc.Error):
        m.run({"x": f32(5, 4), "h0": f32(4), "m": np.array(6)})
    assert m.run({"x": f32(5, 4), "h0": f32(4), "m": np.array(5)})["ys"].shape == (5, 4)


@pytest.mark.xfail(strict=True, reason="M that is data is refused where outputs depend on it")
def test_negative_trip_count():
    with pytest.raises(lnnc.CompileError, match="-3"):
        lnnc.compile(counted(-3))
    m = lnnc.compile(counted(m_input=True))
    with pytest.raises(lnnc.Error, match="negative"):
        m.run({"x": f32(5, 4), "h0": f32(4), "m": np.array(-3)})


def test_while_loop_with_scan_output_and_bound():
    # goes on while the sum of h is below a limit, 8 times at most
    body = loop_body(
        [
            H.make_node("Add", ["h", "one"], ["hn"]),
            H.make_node("ReduceSum", ["hn"], ["s"], keepdims=0),
            H.make_node("Less", ["s", "limit"], ["co"]),
        ],
        [V("h", P.FLOAT, [2])],
        [V("hn", P.FLOAT, [2]), V("hn2", P.FLOAT, [2])],
    )
    body.node.append(H.make_node("Identity", ["hn"], ["hn2"]))
    m = lnnc.compile(
        model(
            [H.make_node("Loop", ["m", "t", "h0"], ["hl", "ys"], body=body)],
            [V("h0", P.FLOAT, [2]), V("limit", P.FLOAT, [])],
            [V("hl", P.FLOAT, [2]), V("ys", P.FLOAT, ["n", 2])],
            [const("m", 8, "i8"), const("t", True, bool), const("one", [1, 1], "f4")],
        )
    )
    for limit, steps in ((3.0, 2), (100.0, 8), (-5.0, 1)):
        got = m.run({"h0": np.zeros(2, "f4"), "limit": np.float32(limit)})
        assert got["ys"].shape == (steps, 2)
        assert np.array_equal(got["hl"], np.full(2, steps, "f4"))
        assert np.array_equal(got["ys"][:, 0], np.arange(1, steps + 1, dtype="f4"))


def test_loop_swaps_its_values():
    body = loop_body(
        [CONTINUE, H.make_node("Identity", ["b"], ["an"]), H.make_node("Add", ["a", "b"], ["bn"])],
        [V("a", P.FLOAT, [3]), V("b", P.FLOAT, [3])],
        [V("an", P.FLOAT, [3]), V("bn", P.FLOAT, [3])],
    )
    m = lnnc.compile(
        model(
            [H.make_node("Loop", ["m", "", "a0", "b0"], ["a1", "b1"], body=body)],
            [V("a0", P.FLOAT, [3]), V("b0", P.FLOAT, [3])],
            [V("a1", P.FLOAT, [3]), V("b1", P.FLOAT, [3])],
            [const("m", 10, "i8")],
        )
    )
    a, b = np.zeros(3, "f4"), np.ones(3, "f4")
    got = m.run({"a0": a, "b0": b})
    for _ in range(10):
        a, b = b, a + b
    assert np.array_equal(got["a1"], a) and np.array_equal(got["b1"], b)


@pytest.mark.xfail(strict=True, reason="M that is data is refused where outputs depend on it")
@pytest.mark.parametrize("axis,rows", [(0, 1), (0, 3), (1, 1), (-1, 2)])
@pytest.mark.parametrize("start", [0, 2])
def test_loop_that_grows_by_concat(axis, rows, start):
    piece = [rows, 4] if axis == 0 else [4, rows]
    grown = ["n", 4] if axis == 0 else [4, "n"]
    first = [start, 4] if axis == 0 else [4, start]
    body = loop_body(
        [
            CONTINUE,
            H.make_node("Mul", ["h", "two"], ["hn"]),
            H.make_node("Expand", ["hn", "shape"], ["p"]),
            H.make_node("Concat", ["g", "p"], ["gc"], axis=axis),
            H.make_node("Identity", ["gc"], ["gn"]),
        ],
        [V("g", P.FLOAT, None), V("h", P.FLOAT, [])],
        [V("gn", P.FLOAT, None), V("hn", P.FLOAT, [])],
    )
    m = lnnc.compile(
        model(
            [H.make_node("Loop", ["m", "t", "g0", "h0"], ["g1", "h1"], body=body)],
            [V("g0", P.FLOAT, first), V("h0", P.FLOAT, []), V("m", P.INT64, [])],
            [V("g1", P.FLOAT, grown), V("h1", P.FLOAT, [])],
            [const("t", True, bool), const("two", 2, "f4"), const("shape", piece, "i8")],
        )
    )
    for n in (0, 1, 5):
        g = f32(*first)
        got = m.run({"g0": g, "h0": np.float32(1), "m": np.array(n)})
        parts = [g] + [np.full(piece, 2.0 ** (t + 1), "f4") for t in range(n)]
        assert np.array_equal(got["g1"], np.concatenate(parts, axis))
        assert got["h1"] == 2.0**n


def test_nested_loops():
    inner = loop_body(
        [CONTINUE, H.make_node("Add", ["v", "w"], ["vn"])],
        [V("v", P.FLOAT, [2])],
        [V("vn", P.FLOAT, [2])],
    )
    outer = H.make_graph(
        [
            H.make_node("Identity", ["oc"], ["oco"]),
            H.make_node("Loop", ["k", "", "u"], ["un"], body=inner),
        ],
        "o",
        [V("oi", P.INT64, []), V("oc", P.BOOL, []), V("u", P.FLOAT, [2])],
        [V("oco", P.BOOL, []), V("un", P.FLOAT, [2])],
    )
    m = lnnc.compile(
        model(
            [H.make_node("Loop", ["n", "", "u0"], ["u1"], body=outer)],
            [V("u0", P.FLOAT, [2]), V("w", P.FLOAT, [2])],
            [V("u1", P.FLOAT, [2])],
            [const("n", 3, "i8"), const("k", 4, "i8")],
        )
    )
    got = m.run({"u0": np.zeros(2, "f4"), "w": np.array([1, 2], "f4")})
    assert np.array_equal(got["u1"], np.array([12, 24], "f4"))


# ---- Scan ----


@pytest.mark.parametrize("reverse_in,reverse_out", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("in_axis,out_axis", [(0, 0), (1, 0), (0, 1), (-1, -1)])
def test_scan_axes_and_directions(reverse_in, reverse_out, in_axis, out_axis):
    body = H.make_graph(
        [
            H.make_node("Add", ["a", "s"], ["an"]),
            H.make_node("Mul", ["b", "r"], ["bn"]),
            H.make_node("Sub", ["an", "bn"], ["o"]),
        ],
        "b",
        [V("a", P.FLOAT, [3]), V("b", P.FLOAT, [3]), V("s", P.FLOAT, [3]), V("r", P.FLOAT, [3])],
        [V("an", P.FLOAT, [3]), V("bn", P.FLOAT, [3]), V("o", P.FLOAT, [3])],
    )
    time_first = f32(5, 3)
    xs = time_first if in_axis == 0 else time_first.T.copy()
    rs = f32(5, 3)
    node = H.make_node(
        "Scan",
        ["a0", "b0", "xs", "rs"],
        ["a1", "b1", "ys"],
        body=body,
        num_scan_inputs=2,
        scan_input_axes=[in_axis, 0],
        scan_input_directions=[reverse_in, 0],
        scan_output_axes=[out_axis],
        scan_output_directions=[reverse_out],
    )
    shape = ["time", 3] if in_axis == 0 else [3, "time"]
    m = lnnc.compile(
        model(
            [node],
            [
                V("a0", P.FLOAT, [3]),
                V("b0", P.FLOAT, [3]),
                V("xs", P.FLOAT, shape),
                V("rs", P.FLOAT, ["time", 3]),
            ],
            [V("a1", P.FLOAT, [3]), V("b1", P.FLOAT, [3]), V("ys", P.FLOAT, None)],
        )
    )
    a, b = f32(3), f32(3)
    got = m.run({"a0": a, "b0": b, "xs": xs, "rs": rs})
    ys = []
    for t in range(5):
        a, b = a + time_first[4 - t if reverse_in else t], b * rs[t]
        ys.append(a - b)
    ys = np.stack(ys[::-1] if reverse_out else ys)
    assert np.array_equal(got["a1"], a) and np.array_equal(got["b1"], b)
    assert np.array_equal(got["ys"], ys if out_axis == 0 else ys.T)


def test_scan_with_different_numbers_of_steps_is_refused():
    body = H.make_graph(
        [H.make_node("Add", ["s", "r"], ["o"])],
        "b",
        [V("s", P.FLOAT, [3]), V("r", P.FLOAT, [3])],
        [V("o", P.FLOAT, [3])],
    )
    node = H.make_node("Scan", ["xs", "rs"], ["ys"], body=body, num_scan_inputs=2, name="the_scan")
    out = [V("ys", P.FLOAT, None)]
    with pytest.raises(lnnc.CompileError, match="the_scan"):
        lnnc.compile(model([node], [V("xs", P.FLOAT, [4, 3]), V("rs", P.FLOAT, [5, 3])], out))
    m = lnnc.compile(model([node], [V("xs", P.FLOAT, ["t", 3]), V("rs", P.FLOAT, ["u", 3])], out))
    with pytest.raises(lnnc.Error):
        m.run({"xs": f32(4, 3), "rs": f32(5, 3)})
