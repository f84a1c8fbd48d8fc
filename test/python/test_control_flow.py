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


@pytest.mark.parametrize("n", [0, 1, 5])
def test_loop_with_count_from_an_input(n):
    m = lnnc.compile(counted(m_input=True))
    x, h = f32(5, 4), f32(4)
    got = m.run({"x": x, "h0": h, "m": np.array(n)})
    want = counted_reference(x, h, n)
    assert np.array_equal(got["hl"], want[0]) and np.array_equal(got["ys"], want[1])


def test_loop_index_out_of_range_is_an_error():
    m = lnnc.compile(counted(m_input=True))
    with pytest.raises(lnnc.Error):
        m.run({"x": f32(5, 4), "h0": f32(4), "m": np.array(6)})
    assert m.run({"x": f32(5, 4), "h0": f32(4), "m": np.array(5)})["ys"].shape == (5, 4)


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


def searching(m_value=None, grown=False, m_name="m"):
    """h doubles until its sum reaches a limit; every h is kept, stacked or appended."""
    nodes = [
        H.make_node("Add", ["h", "h"], ["hn"], name="double"),
        H.make_node("ReduceSum", ["hn"], ["s"], keepdims=0),
        H.make_node("Less", ["s", "limit"], ["co"]),
        H.make_node("Mul", ["v", "hn"], ["vn"]),  # the condition does not need it
    ]
    carried = [V("h", P.FLOAT, [2]), V("v", P.FLOAT, [2])]
    outs = [V("hn", P.FLOAT, [2]), V("vn", P.FLOAT, [2])]
    starts, ends = ["h0", "v0"], ["hl", "vl"]
    outputs = [V("hl", P.FLOAT, [2]), V("vl", P.FLOAT, [2])]
    init = []
    if grown:
        nodes += [
            H.make_node("Unsqueeze", ["vn", "front"], ["row"]),
            H.make_node("Concat", ["g", "row"], ["gn"], axis=0),
        ]
        carried.append(V("g", P.FLOAT, ["k", 2]))
        outs.append(V("gn", P.FLOAT, ["k1", 2]))
        starts.append("g0")
        ends.append("ys")
        init += [const("front", [0], "i8"), const("g0", np.zeros((0, 2)), "f4")]
    else:
        nodes.append(H.make_node("Identity", ["vn"], ["y"]))
        outs.append(V("y", P.FLOAT, [2]))
        ends.append("ys")
    outputs.append(V("ys", P.FLOAT, ["n", 2]))
    if m_value is not None:
        init.append(const("m", m_value, "i8"))
    node = H.make_node("Loop", [m_name, "", *starts], ends, body=loop_body(nodes, carried, outs))
    inputs = [V("h0", P.FLOAT, [2]), V("v0", P.FLOAT, [2]), V("limit", P.FLOAT, [])]
    if m_name and m_value is None:
        inputs.append(V("m", P.INT64, []))
    return model([node], inputs, outputs, init)


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("bound", ["none", "most", "small", "data"])
def test_loop_that_its_condition_ends_keeps_every_step(grown, bound):
    m = lnnc.compile(
        {
            "none": lambda: searching(grown=grown, m_name=""),
            "most": lambda: searching(2**63 - 1, grown=grown),  # what PyTorch writes for `while`
            "small": lambda: searching(4, grown=grown),
            "data": lambda: searching(grown=grown),
        }[bound]()
    )
    h0, v0 = np.array([1, 2], "f4"), np.array([3, 5], "f4")
    for limit in (-1.0, 5.0, 100.0):
        for most in (0, 1, 50) if bound == "data" else (4,):
            inputs = {"h0": h0, "v0": v0, "limit": np.float32(limit)}
            if bound == "data":
                inputs["m"] = np.array(most)
            h, v, ys = h0, v0, []
            most = most if bound in ("data", "small") else 1000
            while len(ys) < most:
                h = h + h
                v = v * h
                ys.append(v)
                if not h.sum() < limit:
                    break
            got = m.run(inputs)
            assert np.array_equal(got["hl"], h) and np.array_equal(got["vl"], v)
            assert np.array_equal(got["ys"], np.array(ys, "f4").reshape(-1, 2))


def test_loop_that_never_ends_is_refused():
    body = loop_body(
        [CONTINUE, H.make_node("Add", ["h", "h"], ["hn"])],
        [V("h", P.FLOAT, [2])],
        [V("hn", P.FLOAT, [2])],
    )
    node = H.make_node("Loop", ["", "", "h0"], ["hl"], name="forever", body=body)
    with pytest.raises(lnnc.CompileError, match="forever.*never ends"):
        lnnc.compile(model([node], [V("h0", P.FLOAT, [2])], [V("hl", P.FLOAT, [2])]))


def test_loop_whose_count_is_computed_from_data():
    g = counted(m_input=True)
    g.graph.input[-1].CopyFrom(V("lengths", P.INT64, ["batch"]))
    g.graph.node.insert(0, H.make_node("ReduceMax", ["lengths"], ["m"], keepdims=0))
    m = lnnc.compile(g)
    x, h = f32(5, 4), f32(4)
    got = m.run({"x": x, "h0": h, "lengths": np.array([2, 4, 3])})
    want = counted_reference(x, h, 4)
    assert np.array_equal(got["hl"], want[0]) and np.array_equal(got["ys"], want[1])


def test_what_follows_a_loop_has_its_size():
    g = counted(m_input=True)
    g.graph.node.append(H.make_node("Concat", ["ys", "x"], ["both"], axis=0))
    g.graph.node.append(H.make_node("ReduceSum", ["both"], ["sums"], keepdims=0))
    g.graph.node.append(H.make_node("Shape", ["ys"], ["shape"]))
    g.graph.output.extend([V("both", P.FLOAT, ["k", 4]), V("shape", P.INT64, [2])])
    m = lnnc.compile(g)
    x, h = f32(5, 4), f32(4)
    for n in (0, 3):
        got = m.run({"x": x, "h0": h, "m": np.array(n)})
        ys = counted_reference(x, h, n)[1]
        assert np.array_equal(got["both"], np.concatenate([ys, x]))
        assert np.array_equal(got["shape"], [n, 4])


def test_a_trip_count_that_no_memory_holds():
    body = loop_body(
        [CONTINUE, H.make_node("Add", ["h", "h"], ["hn"]), H.make_node("Neg", ["hn"], ["y"])],
        [V("h", P.FLOAT, [1024])],
        [V("hn", P.FLOAT, [1024]), V("y", P.FLOAT, [1024])],
    )
    m = lnnc.compile(
        model(
            [H.make_node("Loop", ["m", "", "h0"], ["hl", "ys"], body=body)],
            [V("h0", P.FLOAT, [1024]), V("m", P.INT64, [])],
            [V("hl", P.FLOAT, [1024]), V("ys", P.FLOAT, ["n", 1024])],
        )
    )
    for n in (2**62 + 1, 2**63 - 1, 2**50):
        with pytest.raises((lnnc.Error, MemoryError)):
            m.run({"h0": f32(1024), "m": np.array(n)})
    assert m.run({"h0": f32(1024), "m": np.array(2)})["ys"].shape == (2, 1024)


def test_loop_with_a_count_inside_another_that_its_condition_ends():
    # the outer loop's body is expanded twice: once to count, once to run
    inner = loop_body(
        [
            CONTINUE,
            H.make_node("Add", ["v", "w"], ["vn"]),
            H.make_node("Unsqueeze", ["vn", "front"], ["row"]),
            H.make_node("Concat", ["g", "row"], ["gn"], axis=0),
        ],
        [V("v", P.FLOAT, [2]), V("g", P.FLOAT, ["k", 2])],
        [V("vn", P.FLOAT, [2]), V("gn", P.FLOAT, ["k1", 2])],
    )
    outer = H.make_graph(
        [
            H.make_node("Loop", ["k", "", "u", "g0"], ["un", "rows"], body=inner),
            H.make_node("ReduceSum", ["rows"], ["s"], keepdims=0),
            H.make_node("Less", ["s", "limit"], ["oco"]),
            H.make_node("Identity", ["s"], ["sy"]),
        ],
        "o",
        [V("oi", P.INT64, []), V("oc", P.BOOL, []), V("u", P.FLOAT, [2])],
        [V("oco", P.BOOL, []), V("un", P.FLOAT, [2]), V("sy", P.FLOAT, [])],
    )
    m = lnnc.compile(
        model(
            [H.make_node("Loop", ["", "", "u0"], ["u1", "sums"], body=outer)],
            [V("u0", P.FLOAT, [2]), V("w", P.FLOAT, [2]), V("k", P.INT64, [])]
            + [V("limit", P.FLOAT, [])],
            [V("u1", P.FLOAT, [2]), V("sums", P.FLOAT, ["n"])],
            [const("front", [0], "i8"), const("g0", np.zeros((0, 2)), "f4")],
        )
    )
    u, w = np.zeros(2, "f4"), np.array([1, 2], "f4")
    for k, limit in ((1, 10.0), (3, 100.0)):
        v, sums = u, []
        while True:
            rows = []
            for _ in range(k):
                v = v + w
                rows.append(v)
            sums.append(np.sum(rows))
            if not sums[-1] < limit:
                break
        got = m.run({"u0": u, "w": w, "k": np.array(k), "limit": np.float32(limit)})
        assert np.array_equal(got["u1"], v) and np.array_equal(got["sums"], np.array(sums, "f4"))


def test_an_initializer_that_is_an_input_too_is_a_constant():
    g = model(
        [H.make_node("Mul", ["x", "w"], ["y"])],
        [V("x", P.FLOAT, [3]), V("w", P.FLOAT, [3])],
        [V("y", P.FLOAT, [3])],
        [const("w", [1, 2, 3], "f4")],
    )
    m = lnnc.compile(g)
    assert [i.name for i in m.get_inputs()] == ["x"]
    x = f32(3)
    assert np.array_equal(m.run({"x": x})["y"], x * np.array([1, 2, 3], "f4"))
    with pytest.raises(lnnc.InputError, match="'w'"):
        m.run({"x": x, "w": x})


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


# ---- windows that data places ----


def windows(size=2, bound="i", offset=1, opset=17):
    """y[i] = sum of x[i + offset : i + offset + size] over a Loop, and the running sum of them."""
    nodes = [
        H.make_node("Unsqueeze", ["i", "zero"], ["i1"]),
        H.make_node("Add", ["i1", "first"], ["start"]),
        H.make_node("Add", [bound, "size"], ["e"]),
        H.make_node("Add", ["offset", "e"], ["e1"]),
        H.make_node("Reshape", ["e1", "one"], ["end"]),
        H.make_node("Slice", ["x", "start", "end", "zero"], ["part"]),
        H.make_node("ReduceSum", ["part", "zero"], ["y"], keepdims=0),
        H.make_node("Add", ["s", "y"], ["sn"]),
        H.make_node("Identity", ["c"], ["cn"]),
    ]
    body = H.make_graph(
        nodes, "b", [V("i", P.INT64, []), V("c", P.BOOL, []), V("s", P.FLOAT, [3])],
        [V("cn", P.BOOL, []), V("sn", P.FLOAT, [3]), V("y", P.FLOAT, [3])],
    )  # fmt: skip
    init = [
        const("zero", [0], "i8"), const("one", [1], "i8"), const("size", size, "i8"),
        const("first", [offset], "i8"), const("offset", offset, "i8"), const("s0", [0, 0, 0], "f4"),
        const("go", True, bool),
    ]  # fmt: skip
    return model(
        [H.make_node("Loop", ["n", "go", "s0"], ["s", "ys"], body=body)],
        [V("x", P.FLOAT, ["t", 3]), V("n", P.INT64, []), V("j", P.INT64, [])],
        [V("s", P.FLOAT, [3]), V("ys", P.FLOAT, ["n", 3])], init, opset,
    )  # fmt: skip


@pytest.mark.parametrize("size, offset", [(1, 0), (2, 1), (3, 0), (2, -1)])
def test_slices_at_a_loops_counter(size, offset):
    m, x = lnnc.compile(windows(size, offset=offset)), f32(9, 3)
    skip = max(0, -offset)
    for n in (0, 1, 9 - size - offset + 1):
        inputs = {"x": x, "n": np.array(n), "j": np.array(0)}
        if n and skip:
            with pytest.raises(lnnc.InputError, match="a window is outside of its dimension"):
                m.run(inputs)
            continue
        got = m.run(inputs)
        want = [x[i + offset : i + offset + size].astype("f8").sum(0) for i in range(n)]
        want = np.array(want).reshape(n, 3)
        np.testing.assert_allclose(got["ys"], want, 1e-6, 1e-6)
        np.testing.assert_allclose(got["s"], want.sum(0), 1e-5, 1e-5)
    with pytest.raises(lnnc.InputError, match="a window is outside of its dimension"):
        m.run({"x": x, "n": np.array(9 - size - offset + 2), "j": np.array(0)})


def test_slices_whose_ends_are_of_other_data_are_refused():
    with pytest.raises(lnnc.UnsupportedError, match=r"both be of one integer \(x\[i : i \+ 2\]\)"):
        lnnc.compile(windows(bound="j"))
    with pytest.raises(lnnc.UnsupportedError, match="both be of one integer"):
        lnnc.compile(windows(size=0))


def test_a_window_larger_than_its_dimension():
    made = windows(4)
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    with pytest.raises(lnnc.CompileError, match="a window of 4 is larger than dimension 0"):
        lnnc.compile(made)
