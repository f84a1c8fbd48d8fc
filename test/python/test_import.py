"""What the importer reads: functions, weights in every form, subgraphs, states, names. The models
are run, and compared with NumPy.
"""

import os

import lnnc
import ml_dtypes
import numpy as np
import pytest
from conftest import BUILD, SANITIZED

onnx = pytest.importorskip("onnx")
H, NH, P = onnx.helper, onnx.numpy_helper, onnx.TensorProto


def value(name, shape, kind=P.FLOAT):
    return H.make_tensor_value_info(name, kind, shape)


def model(
    nodes, inputs, outputs, initializers=(), sparse=(), functions=(), opset=17, domains=(), ir=8
):
    graph = H.make_graph(nodes, "g", inputs, outputs, list(initializers))
    graph.sparse_initializer.extend(sparse)
    imports = [H.make_opsetid("", opset)] + [H.make_opsetid(d, 1) for d in domains]
    made = H.make_model(graph, opset_imports=imports, ir_version=ir, functions=list(functions))
    return made


def run(made, **inputs):
    return lnnc.compile(made.SerializeToString()).run(inputs)


X = np.arange(6, dtype="f4").reshape(2, 3) - 2
IN, OUT = [value("x", [2, 3])], [value("y", [2, 3])]


# ---- model-local functions


def function(name, inputs, outputs, nodes, attributes=(), defaults=()):
    return H.make_function(
        "local",
        name,
        inputs,
        outputs,
        nodes,
        [H.make_opsetid("", 17), H.make_opsetid("local", 1)],
        list(attributes),
        list(defaults),
    )


def reference(op, inputs, outputs, **refs):
    """A node whose attributes are those of the function it stands in."""
    node = H.make_node(op, inputs, outputs)
    for name, (source, kind) in refs.items():
        attr = node.attribute.add()
        attr.name, attr.ref_attr_name, attr.type = name, source, kind
    return node


LEAKY = function(
    "Leaky",
    ["a"],
    ["b"],
    [reference("LeakyRelu", ["a"], ["b"], alpha=("slope", onnx.AttributeProto.FLOAT))],
    defaults=[H.make_attribute("slope", 0.5)],
)


@pytest.mark.parametrize("slope", [None, 0.25])
def test_an_attribute_given_or_its_default(slope):
    given = {} if slope is None else {"slope": slope}
    nodes = [H.make_node("Leaky", ["x"], ["y"], domain="local", **given)]
    got = run(model(nodes, IN, OUT, functions=[LEAKY], domains=["local"]), x=X)["y"]
    assert np.array_equal(got, np.where(X < 0, X * (slope or 0.5), X))


def test_nested_functions_pass_attributes_on_and_their_names_do_not_clash():
    inner = reference("Leaky", ["x"], ["y"], slope=("s", onnx.AttributeProto.FLOAT))
    inner.domain = "local"
    outer = function("Outer", ["x"], ["z"], [inner, H.make_node("Neg", ["y"], ["z"])], ["s"])
    nodes = [
        H.make_node("Outer", ["x"], ["t"], domain="local", s=0.5),
        H.make_node("Outer", ["t"], ["y"], domain="local", s=0.25),
    ]
    got = run(model(nodes, IN, OUT, functions=[LEAKY, outer], domains=["local"]), x=X)["y"]
    once = -np.where(X < 0, X * 0.5, X)
    assert np.array_equal(got, -np.where(once < 0, once * 0.25, once))


def test_functions_that_call_themselves():
    a = function("A", ["x"], ["y"], [H.make_node("B", ["x"], ["y"], domain="local")])
    b = function("B", ["x"], ["y"], [H.make_node("A", ["x"], ["y"], domain="local")])
    nodes = [H.make_node("A", ["x"], ["y"], domain="local")]
    with pytest.raises(lnnc.CompileError, match="calls itself"):
        run(model(nodes, IN, OUT, functions=[a, b], domains=["local"]), x=X)


def test_functions_that_multiply_without_bound():
    functions = [function("F0", ["x"], ["y"], [H.make_node("Neg", ["x"], ["y"])])]
    for i in range(1, 40):
        call = f"F{i - 1}"
        functions.append(
            function(
                f"F{i}",
                ["x"],
                ["y"],
                [
                    H.make_node(call, ["x"], ["t"], domain="local"),
                    H.make_node(call, ["t"], ["y"], domain="local"),
                ],
            )
        )
    nodes = [H.make_node("F39", ["x"], ["y"], domain="local")]
    with pytest.raises(lnnc.UnsupportedError, match="once they are inlined"):
        run(model(nodes, IN, OUT, functions=functions, domains=["local"]), x=X)


def test_a_function_sees_nothing_of_its_caller():
    f = function("F", ["a"], ["b"], [H.make_node("Add", ["a", "secret"], ["b"])])
    nodes = [
        H.make_node("Neg", ["x"], ["secret"]),
        H.make_node("F", ["x"], ["y"], domain="local"),
    ]
    with pytest.raises(lnnc.CompileError, match="secret"):
        run(model(nodes, IN, OUT, functions=[f], domains=["local"]), x=X)


# ---- weights

TYPES = ["f4", "f8", "f2", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", TYPES + ["bfloat16"])
def test_initializers_of_every_type(kind, raw):
    dtype = ml_dtypes.bfloat16 if kind == "bfloat16" else np.dtype(kind)
    want = np.array([0, 1, 3, 100], "i8").astype(dtype)
    tensor = NH.from_array(want, "w")
    if not raw:
        number = tensor.data_type
        if kind in ("f2", "bfloat16"):
            flat = want.view("u2").tolist()
            tensor = P(name="w", dims=[4], data_type=number, int32_data=flat)
        else:
            tensor = H.make_tensor("w", number, [4], want.tolist())
        assert not tensor.raw_data
    out = [value("y", [4], tensor.data_type)]
    nodes = [H.make_node("Identity", ["w"], ["y"])]
    got = run(model(nodes, [], out, [tensor]))["y"]
    assert got.dtype == want.dtype and np.array_equal(got, want)


@pytest.mark.parametrize("kind", [P.INT4, P.UINT4, P.FLOAT8E4M3FN, P.COMPLEX64, P.STRING])
def test_element_types_that_are_refused(kind):
    tensor = P(name="w", dims=[4], data_type=kind, raw_data=b"1234")
    nodes = [H.make_node("Identity", ["w"], ["y"])]
    with pytest.raises(lnnc.UnsupportedError, match=P.DataType.Name(kind)):
        run(model(nodes, [], [value("y", [4])], [tensor]))


@pytest.mark.parametrize("linear", [True, False])
def test_sparse_initializers_become_dense(linear):
    want = np.array([[0, 0, 5], [7, 0, 0]], "f4")
    where = np.array([2, 3]) if linear else np.array([[0, 2], [1, 0]])
    sparse = H.make_sparse_tensor(
        NH.from_array(np.array([5, 7], "f4"), "w"), NH.from_array(where, "i"), [2, 3]
    )
    nodes = [H.make_node("Add", ["x", "w"], ["y"])]
    assert np.array_equal(run(model(nodes, IN, OUT, sparse=[sparse]), x=X)["y"], X + want)


@pytest.mark.parametrize(
    "where, dims, words",
    [([2, 6], [2, 3], "outside"), ([2, -1], [2, 3], "outside"), ([2, 3], [2**19, 2**19], "dense")],
)
def test_sparse_initializers_that_are_refused(where, dims, words):
    sparse = H.make_sparse_tensor(
        NH.from_array(np.array([5, 7], "f4"), "w"), NH.from_array(np.array(where), "i"), dims
    )
    nodes = [H.make_node("Add", ["x", "w"], ["y"])]
    with pytest.raises(lnnc.CompileError, match=words):
        run(model(nodes, IN, OUT, sparse=[sparse]), x=X)


@pytest.mark.parametrize("ir", [3, 8])
def test_an_initializer_that_is_an_input_too_is_a_constant(ir):
    w = NH.from_array(np.ones((2, 3), "f4"), "w")
    nodes = [H.make_node("Add", ["x", "w"], ["y"])]
    compiled = lnnc.compile(
        model(nodes, IN + [value("w", [2, 3])], OUT, [w], ir=ir).SerializeToString()
    )
    assert [i.name for i in compiled.get_inputs()] == ["x"]
    assert np.array_equal(compiled.run({"x": X})["y"], X + 1)


def external(folder, location="w.data", offset="4", length="24", data=None):
    w = np.arange(6, dtype="f4").reshape(2, 3)
    tensor = P(name="w", dims=[2, 3], data_type=P.FLOAT, data_location=P.EXTERNAL)
    for key, text in (("location", location), ("offset", offset), ("length", length)):
        if text is not None:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, text
    (folder / "w.data").write_bytes(b"skip" + w.tobytes() if data is None else data)
    made = model([H.make_node("Add", ["x", "w"], ["y"])], IN, OUT, [tensor])
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    return folder / "m.onnx", w


def test_external_data(tmp_path):
    path, w = external(tmp_path)
    assert np.array_equal(lnnc.compile(path).run({"x": X})["y"], X + w)
    (tmp_path / "deep").mkdir()
    (tmp_path / "w.data").rename(tmp_path / "deep" / "w.data")
    external(tmp_path, "deep/w.data")
    assert np.array_equal(lnnc.compile(path).run({"x": X})["y"], X + w)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(location="../w.data"), "leaves"),
        (dict(location="a/../../w.data"), "leaves"),
        (dict(location="/etc/passwd"), "relative"),
        (dict(location="w\0.data"), "relative"),
        (dict(location=""), "relative"),
        (dict(location="missing.data"), "cannot be read"),
        (dict(offset="-4"), "offset"),
        (dict(offset="18446744073709551615"), "ends at byte"),
        (dict(length="25"), "expected"),
        (dict(data=b"short"), "ends at byte"),
    ],
)
def test_external_data_that_is_refused(tmp_path, change, words):
    path, _ = external(tmp_path, **change)
    with pytest.raises(lnnc.CompileError, match=words):
        lnnc.compile(path)


def test_external_data_behind_a_link_or_a_pipe(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path, _ = external(folder)
    (folder / "w.data").rename(tmp_path / "outside")
    (folder / "w.data").symlink_to(tmp_path / "outside")
    with pytest.raises(lnnc.CompileError, match="outside"):
        lnnc.compile(path)
    (folder / "w.data").unlink()
    os.mkfifo(folder / "w.data")
    with pytest.raises(lnnc.CompileError, match="regular"):
        lnnc.compile(path)


# ---- graphs


def test_nodes_in_any_order():
    nodes = [
        H.make_node("Neg", ["b"], ["y"]),
        H.make_node("Abs", ["a"], ["b"]),
        H.make_node("Neg", ["x"], ["a"]),
    ]
    assert np.array_equal(run(model(nodes, IN, OUT), x=X)["y"], -np.abs(X))


def test_a_subgraph_in_a_subgraph_reads_values_of_every_graph_around_it():
    def branch(nodes, output, initializers=()):
        return H.make_graph(nodes, "b", [], [value(output, None)], list(initializers))

    two = NH.from_array(np.array(2, "f4"), "two")
    inner = {
        "then_branch": branch([H.make_node("Mul", ["x", "two"], ["i"])], "i"),
        "else_branch": branch([H.make_node("Add", ["x", "outer"], ["j"])], "j"),
    }
    nodes = [
        H.make_node("Neg", ["x"], ["outer"]),
        H.make_node(
            "If",
            ["c"],
            ["y"],
            then_branch=branch([H.make_node("If", ["d"], ["k"], **inner)], "k", [two]),
            else_branch=branch([H.make_node("Identity", ["outer"], ["l"])], "l"),
        ),
    ]
    flags = [value("c", [], P.BOOL), value("d", [], P.BOOL)]
    compiled = lnnc.compile(model(nodes, IN + flags, OUT).SerializeToString())
    for c in (False, True):
        for d in (False, True):
            got = compiled.run({"x": X, "c": np.array(c), "d": np.array(d)})["y"]
            assert np.array_equal(got, (2 * X if d else 0 * X) if c else -X)


def test_optional_inputs_and_outputs_with_empty_names():
    low = NH.from_array(np.array(1, "f4"), "hi")
    nodes = [H.make_node("Clip", ["x", "", "hi"], ["y"])]
    assert np.array_equal(run(model(nodes, IN, OUT, [low]), x=X)["y"], np.minimum(X, 1))


def test_names_in_any_script():
    nodes = [H.make_node("Neg", ["вход"], ["\u51fa\u529b"], name="узел \u2603")]
    made = model(nodes, [value("вход", ["größe", 3])], [value("\u51fa\u529b", ["größe", 3])])
    compiled = lnnc.compile(made.SerializeToString())
    assert compiled.get_inputs()[0].name == "вход"
    assert compiled.get_inputs()[0].shape[0] == "größe"
    assert np.array_equal(compiled.run({"вход": X})["\u51fa\u529b"], -X)


@pytest.mark.parametrize(
    "inputs, outputs, words",
    [
        ([value("", [2, 3])], OUT, "no name"),
        (IN + IN, OUT, "two inputs 'x'"),
        (IN, [value("", [2, 3])], "no name"),
        (IN, OUT + OUT, "twice"),
    ],
)
def test_names_that_say_nothing(inputs, outputs, words):
    with pytest.raises(lnnc.CompileError, match=words):
        run(model([H.make_node("Neg", ["x"], ["y"])], inputs, outputs), x=X)


def test_unused_initializers_cost_nothing():
    many = [NH.from_array(np.full(100, i, "f4"), f"w{i}") for i in range(5000)]
    many.append(P(name="odd", dims=[4], data_type=P.INT4, raw_data=b"12"))
    assert np.array_equal(
        run(model([H.make_node("Neg", ["x"], ["y"])], IN, OUT, many), x=X)["y"], -X
    )


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what is freed")
@pytest.mark.parametrize("transposed", [False, True])
def test_large_weights_are_not_kept_often(tmp_path, transposed):
    w = np.random.default_rng(0).standard_normal((5000, 5000), dtype="f4") / 70
    node = H.make_node("Gemm", ["x", "w"], ["y"], transB=int(transposed))
    made = model([node], [value("x", [1, 5000])], [value("y", [1, 5000])], [NH.from_array(w, "w")])
    path, artifact = tmp_path / "large.onnx", tmp_path / "large.so"
    onnx.save(made, path)
    lnnc_tool = os.spawnl(os.P_NOWAIT, BUILD / "bin/lnnc", "lnnc", path, "-o", artifact)
    _, status, usage = os.wait4(lnnc_tool, 0)
    assert status == 0
    assert usage.ru_maxrss * 1024 < 3 * path.stat().st_size + 300e6
    x = np.random.default_rng(1).standard_normal((1, 5000), dtype="f4")
    want = x.astype("f8") @ (w.T if transposed else w)
    assert np.abs(lnnc.load(artifact)(x=x)[0] - want).max() < 1e-4


def test_an_output_that_is_declared_as_another_type():
    nodes = [H.make_node("Neg", ["x"], ["y"])]
    with pytest.raises(lnnc.CompileError, match="declared as DOUBLE and computed as float32"):
        run(model(nodes, IN, [value("y", [2, 3], P.DOUBLE)]), x=X)


def test_sequences_and_optionals_are_refused():
    tensor = onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=P.FLOAT))
    info = onnx.ValueInfoProto(name="x", type=H.make_sequence_type_proto(tensor))
    with pytest.raises(lnnc.UnsupportedError, match="not a tensor"):
        i = NH.from_array(np.array(0), "i")
        run(model([H.make_node("SequenceAt", ["x", "i"], ["y"])], [info], OUT, [i]))


# ---- states

PAIRS = ["h h_next", "h0 hn", "a_in a_out", "a a_out", "state stateN", "past_k present_k", "h hn"]


@pytest.mark.parametrize("pair", PAIRS)
def test_states_by_name(pair):
    before, after = pair.split()
    nodes = [H.make_node("Add", ["x", before], [after])]
    made = model(nodes, IN + [value(before, [2, 3])], [value(after, [2, 3])])
    roles = {v.name: v.role for v in lnnc.compile(made.SerializeToString()).get_inputs()}
    assert roles == {"x": "input", before: "state"}


@pytest.mark.parametrize(
    "before, after, shape",
    [("state", "y", [2, 3]), ("x2", "x2n", [2, 3]), ("h", "h_next", [2, 2, 3])],
)
def test_what_is_no_state(before, after, shape):
    nodes = [H.make_node("Expand", ["t", "s"], [after]), H.make_node("Add", ["x", before], ["t"])]
    s = NH.from_array(np.array(shape), "s")
    made = model(nodes, IN + [value(before, [2, 3])], [value(after, shape)], [s])
    roles = {v.name: v.role for v in lnnc.compile(made.SerializeToString()).get_inputs()}
    assert roles == {"x": "input", before: "input"}


def test_states_that_are_given():
    nodes = [H.make_node("Add", ["x", "a"], ["b"])]
    data = model(nodes, IN + [value("a", [2, 3])], [value("b", [2, 3])]).SerializeToString()
    roles = [v.role for v in lnnc.compile(data, states={"a": "b"}).get_inputs()]
    assert roles == ["input", "state"]
    with pytest.raises(lnnc.Error, match="no output 'c'"):
        lnnc.compile(data, states={"a": "c"})


# ---- what is not supported


def test_all_that_is_not_supported_is_said_at_once():
    body = H.make_graph([H.make_node("Odd3", ["x"], ["o"], name="n3")], "b", [], [value("o", None)])
    nodes = [
        H.make_node("Odd1", ["x"], ["a"], name="n1"),
        H.make_node("Odd2", ["a"], ["b"], name="n2", domain="com.acme"),
        H.make_node("If", ["b"], ["y"], then_branch=body, else_branch=body),
        H.make_node("Odd4", ["y"], ["dead"], name="n4"),
    ]
    with pytest.raises(lnnc.UnsupportedError) as caught:
        run(model(nodes, IN, OUT, domains=["com.acme"]), x=X)
    text = str(caught.value)
    for words in ("'n1'", "Odd1", "opset 17", "'x'", "'n2'", "com.acme.Odd2", "Odd3"):
        assert words in text, text
    assert "Odd4" not in text, "no output needs it"
