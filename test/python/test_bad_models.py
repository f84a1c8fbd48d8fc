"""Damaged and hostile models, and inputs that a model cannot take: one clear error each, and the
process goes on.
"""

import random
import subprocess
import sys
import time

import lnnc
import numpy as np
import pytest
from conftest import BUILD, ROOT, SANITIZED, ZOO, make_onnx

onnx = pytest.importorskip("onnx")
H, NH, P = onnx.helper, onnx.numpy_helper, onnx.TensorProto

X = np.arange(6, dtype="f4").reshape(2, 3)
SPEC = ("f4", [2, 3])


def refused(made, *words, kind=lnnc.CompileError):
    with pytest.raises(kind) as caught:
        lnnc.compile(made if isinstance(made, bytes) else made.SerializeToString())
    text = str(caught.value)
    assert "crashed" not in text and all(w in text for w in words), text


# ---- what a model claims


def ints(*values):
    return np.array(values, "i8")


@pytest.mark.parametrize(
    "dims", [[2**40], [2**20, 2**20, 2], [2**62, 2**62], [-1], [7], [0, 2**62]]
)
def test_a_tensor_that_claims_what_it_does_not_hold(dims):
    made = make_onnx([("Add", ["x", "w"], ["y"], {})], {"x": SPEC}, {"y": SPEC}, {"w": X})
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend(dims)
    refused(made, "initializer 'w'")


HUGE = 2**40
SIZES = [
    ("ConstantOfShape", ["s"], {}, {"s": ints(HUGE, HUGE)}),
    ("ConstantOfShape", ["s"], {}, {"s": ints(2**62)}),
    ("ConstantOfShape", ["s"], {}, {"s": ints(-5)}),
    ("Expand", ["x", "s"], {}, {"s": ints(HUGE, 2, 3)}),
    ("Expand", ["x", "s"], {}, {"s": ints(2**62, 2, 3)}),
    ("Tile", ["x", "s"], {}, {"s": ints(2**62, 2**62)}),
    ("Tile", ["x", "s"], {}, {"s": ints(-1, 1)}),
    ("Range", ["a", "b", "c"], {}, {"a": ints(0)[0], "b": ints(2**62)[0], "c": ints(1)[0]}),
    ("Range", ["a", "b", "c"], {}, {"a": ints(0)[0], "b": ints(9)[0], "c": ints(0)[0]}),
    ("Pad", ["x", "s"], {}, {"s": ints(2**62, 0, 2**62, 0)}),
    ("Reshape", ["x", "s"], {}, {"s": ints(2**62, 4)}),
    ("Reshape", ["x", "s"], {}, {"s": ints(-1, -1)}),
    ("Reshape", ["x", "s"], {}, {"s": ints(5, -1)}),
    ("Concat", ["x", "x"], {"axis": 2**62}, {}),
    ("Softmax", ["x"], {"axis": -(2**63)}, {}),
    ("Unsqueeze", ["x", "s"], {}, {"s": ints(2**62)}),
    ("Transpose", ["x"], {"perm": [2**62, 0]}, {}),
    ("Gather", ["x", "s"], {"axis": 0}, {"s": ints(9)}),
    ("Split", ["x", "s"], {"axis": 1}, {"s": ints(2**62)}),
]


@pytest.mark.parametrize("op, inputs, attributes, constants", SIZES)
def test_sizes_and_axes_that_cannot_be(op, inputs, attributes, constants):
    made = make_onnx([(op, inputs, ["y"], attributes)], {"x": SPEC}, {"y": SPEC}, constants)
    if "x" not in inputs:
        made = make_onnx([(op, inputs, ["y"], attributes)], {}, {"y": SPEC}, constants)
    made.graph.output[0].type.Clear()
    refused(made, op)


def test_sizes_that_double_again_and_again():
    """Each Mul doubles the expression of the size: written out it would have 2^60 terms."""
    nodes, last = [("Shape", ["x"], ["s0"], {})], "s0"
    for i in range(60):
        nodes += [("Mul", [last, last], [f"m{i}"], {}), ("Add", [f"m{i}", "s0"], [f"a{i}"], {})]
        last = f"a{i}"
    nodes.append(("Expand", ["c", last], ["y"], {}))
    made = make_onnx(nodes, {"x": ("f4", ["n"])}, {"y": ("f4", ["m"])}, {"c": np.zeros(1, "f4")})
    start = time.time()
    refused(made)
    assert time.time() - start < (50 if SANITIZED else 5)


def nested(depth):
    """If in If in If: y = -x where c, else |x|."""

    def branch(node):
        return H.make_graph([node], "g", [], [H.make_tensor_value_info(node.output[0], 1, [2, 3])])

    node = H.make_node("Neg", ["x"], ["r0"])
    for i in range(1, depth):
        other = H.make_node("Abs", ["x"], [f"e{i}"])
        node = H.make_node(
            "If", ["c"], [f"r{i}"], then_branch=branch(node), else_branch=branch(other)
        )
    made = make_onnx([("Neg", ["x"], ["y"], {})], {"x": SPEC, "c": ("?", [])}, {"y": SPEC})
    made.graph.node[0].CopyFrom(node)
    made.graph.node[0].output[0] = "y"
    return made


def test_subgraphs_in_subgraphs():
    got = lnnc.compile(nested(20).SerializeToString()).run({"x": X, "c": np.array(True)})["y"]
    assert np.array_equal(got, -X)


def test_functions_in_functions():
    calls = [(f"F{i + 1}" if i < 70 else "Neg") for i in range(71)]
    made = make_onnx([("Neg", ["x"], ["y"], {})], {"x": SPEC}, {"y": SPEC})
    made.opset_import.append(H.make_opsetid("local", 1))
    for i, call in enumerate(calls):
        node = H.make_node(call, ["x"], ["y"], domain="local" if i < 70 else "")
        made.functions.append(
            H.make_function("local", f"F{i}", ["x"], ["y"], [node], made.opset_import)
        )
    node = made.graph.node[0]
    node.op_type, node.domain = "F40", "local"
    assert np.array_equal(lnnc.compile(made.SerializeToString()).run({"x": X})["y"], -X)
    node.op_type = "F0"
    refused(made, "deep")


@pytest.mark.parametrize("bracket", [b"[", b"(", b"{", b"<", b"tensor<", b"()->("])
def test_text_of_brackets(bracket):
    refused(b'"a"() {b = ' + bracket * 100_000)


def test_a_cycle():
    nodes = [("Add", ["x", "b"], ["a"], {}), ("Neg", ["a"], ["b"], {}), ("Neg", ["b"], ["y"], {})]
    refused(make_onnx(nodes, {"x": SPEC}, {"y": SPEC}), "cycle", "/Add_0")


def test_an_initializer_that_is_missing():
    refused(make_onnx([("Add", ["x", "w"], ["y"], {})], {"x": SPEC}, {"y": SPEC}), "/Add_0", "'w'")


@pytest.mark.parametrize(
    "opset, ok", [(5, False), (0, False), (-3, False), (999, False), (28, True)]
)
def test_opsets(opset, ok):
    made = make_onnx([("Neg", ["x"], ["y"], {})], {"x": SPEC}, {"y": SPEC}, opset=opset)
    if ok:
        assert np.array_equal(lnnc.compile(made.SerializeToString()).run({"x": X})["y"], -X)
    else:
        refused(made, "opset", "6 to 28", kind=lnnc.UnsupportedError)


def chain(n):
    nodes = [("Add", [f"v{i}" if i else "x", "x"], [f"v{i + 1}"], {}) for i in range(n)]
    nodes[-1] = (*nodes[-1][:2], ["y"], {})
    return make_onnx(nodes, {"x": SPEC}, {"y": SPEC}).SerializeToString()


def tool(*arguments, data, path, timeout=600):
    """Runs lnn-translate on a model."""
    path.write_bytes(data)
    program = BUILD / "bin" / "lnn-translate"
    if not program.exists():
        pytest.skip(f"no {program}")
    command = [program, *arguments, path, "-o", "/dev/null"]
    return subprocess.run(command, capture_output=True, timeout=timeout)


def test_a_hundred_thousand_nodes(tmp_path):
    data = chain(100_000)
    start = time.time()
    done = tool("--import-onnx", data=data, path=tmp_path / "m.onnx")
    assert done.returncode == 0, done.stderr[-500:]
    assert time.time() - start < (150 if SANITIZED else 15)  # about 2 s


def test_a_hundred_thousand_unknown_nodes(tmp_path):
    nodes = [H.make_node("Odd", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(100_000)]
    nodes[-1].output[0] = "y"
    made = make_onnx([("Neg", ["x"], ["y"], {})], {"x": SPEC}, {"y": SPEC})
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    done = tool("--check-onnx", data=made.SerializeToString(), path=tmp_path / "m.onnx")
    assert done.returncode == 1 and b"more nodes" in done.stderr


# ---- what is only seen when it runs


def both(model, good, bad, words, kind=lnnc.Error):
    """The bad inputs are refused with a message, the good ones run before and after."""
    first = model.run(good)["y"]
    with pytest.raises(kind) as caught:
        model.run(bad)
    assert all(w in str(caught.value) for w in words), caught.value
    assert np.array_equal(model.run(good)["y"], first)


def compiled(nodes, inputs, outputs, constants=()):
    return lnnc.compile(make_onnx(nodes, inputs, outputs, constants).SerializeToString())


@pytest.mark.parametrize("index", [3, -4, 2**62, -(2**63)])
@pytest.mark.parametrize(
    "op, shape", [("Gather", ["n"]), ("GatherElements", ["n"]), ("GatherND", ["n", 1])]
)
def test_an_index_out_of_range(op, shape, index):
    model = compiled([(op, ["x", "i"], ["y"], {})], {"x": ("f4", [3]), "i": ("i8", shape)},
                     {"y": ("f4", ["n"])})  # fmt: skip
    x = np.arange(3, dtype="f4")
    i = ints(2, -3, 0).reshape([3] + [1] * (len(shape) - 1))
    bad = i.copy()
    bad[1] = index
    both(model, {"x": x, "i": i}, {"x": x, "i": bad}, [op])


@pytest.mark.parametrize("kind", ["i4", "i8"])
@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_division_of_integers_by_zero_and_overflow(op, kind):
    """Neither traps: what it gives is not said by ONNX, but the process goes on."""
    spec = (kind, ["n"])
    model = compiled([(op, ["a", "b"], ["y"], {})], {"a": spec, "b": spec}, {"y": spec})
    least = np.iinfo(kind).min
    a, b = np.array([6, 7, least, 9], kind), np.array([3, 0, -1, 2], kind)
    try:
        got = model.run({"a": a, "b": b})["y"]
        assert list(got[[0, 3]]) == ([2, 4] if op == "Div" else [0, 1])
    except lnnc.Error as error:
        assert op in str(error)
    good = model.run({"a": a[:1], "b": b[:1]})["y"]
    assert good[0] == (2 if op == "Div" else 0)


def test_a_reshape_that_does_not_fit_when_it_runs():
    model = compiled(
        [("Reshape", ["x", "s"], ["y"], {})],
        {"x": ("f4", ["n"])},
        {"y": ("f4", [2, 3])},
        {"s": ints(2, 3)},
    )
    both(model, {"x": np.zeros(6, "f4")}, {"x": np.zeros(7, "f4")}, ["Reshape"])


def test_sizes_that_must_agree_when_it_runs():
    model = compiled(
        [("Add", ["a", "b"], ["y"], {})],
        {"a": ("f4", ["n"]), "b": ("f4", ["m"])},
        {"y": ("f4", ["n"])},
    )
    a = np.zeros(3, "f4")
    both(model, {"a": a, "b": a}, {"a": a, "b": a[:2]}, ["Add"])


def test_inputs_larger_than_memory():
    model = compiled(
        [("Neg", ["x"], ["y"], {})], {"x": ("f4", ["a", "b"])}, {"y": ("f4", ["a", "b"])}
    )
    one = np.ones(1, "f4")
    large = np.lib.stride_tricks.as_strided(one, (2**40, 2**20), (0, 0))
    both(model, {"x": one[None]}, {"x": large}, ["x"])


def loop(count):
    """y = x doubled, M times."""
    body = H.make_graph(
        [H.make_node("Identity", ["c"], ["co"]), H.make_node("Add", ["h", "h"], ["ho"])],
        "body",
        [
            H.make_tensor_value_info("i", P.INT64, []),
            H.make_tensor_value_info("c", P.BOOL, []),
            H.make_tensor_value_info("h", 1, [2, 3]),
        ],
        [H.make_tensor_value_info("co", P.BOOL, []), H.make_tensor_value_info("ho", 1, [2, 3])],
    )
    constants = {} if count is None else {"m": np.array(count, "i8")}
    inputs = {"x": SPEC, "m": ("i8", [])} if count is None else {"x": SPEC}
    nodes = [("Loop", ["m", "", "x"], ["y"], {"body": body})]
    return make_onnx(nodes, inputs, {"y": SPEC}, constants)


def test_loops_with_a_negative_trip_count():
    refused(loop(-1), "Loop", "negative")
    model = lnnc.compile(loop(None).SerializeToString())
    three, minus = np.array(3, "i8"), np.array(-1, "i8")
    assert np.array_equal(model.run({"x": X, "m": three})["y"], 8 * X)
    both(model, {"x": X, "m": three}, {"x": X, "m": minus}, ["negative"])


# ---- artifacts and sessions


def test_artifacts_of_random_bytes(leaky, tmp_path):
    leaky.save(tmp_path / "good.so")
    good = (tmp_path / "good.so").read_bytes()
    rng = np.random.default_rng(0)
    for head in (0, 4, 16, 64):
        (tmp_path / "bad.so").write_bytes(good[:head] + rng.bytes(4096))
        with pytest.raises(lnnc.LoadError) as caught:
            lnnc.load(tmp_path / "bad.so")
        assert len(str(caught.value)) > 10


def test_states_of_a_wrong_shape_or_type(leaky):
    session = leaky.session(batch=2)
    for bad in (np.zeros((3, 3), "f4"), np.zeros((2, 3), "f8"), np.zeros((2, 4), "f4")):
        with pytest.raises(lnnc.InputError, match="h"):
            session.state = {"h": bad}
    with pytest.raises(lnnc.InputError, match="3"):
        session.step(x=np.zeros((3, 3), "f4"))
    assert np.array_equal(session.step(x=np.ones((2, 3), "f4"))["y"], np.full((2, 3), 2, "f4"))


# ---- chance


def damage(rng, data):
    """The model with something wrong: cut off, bytes changed, or its parts exchanged."""
    how = rng.randrange(4)
    if how == 0:
        return data[: rng.randrange(len(data))]
    if how == 1:
        changed = bytearray(data)
        for _ in range(rng.choice([1, 4, 64])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    made = onnx.load_from_string(data)
    for _ in range(rng.choice([1, 1, 3])):
        damage_graph(rng, made.graph)
    return made.SerializeToString()


def damage_graph(rng, graph):
    number = rng.choice([-(2**63), -99, -1, 0, 1, 2, 7, 99, 2**31, 2**40, 2**62])
    node = rng.choice(graph.node)
    names = [o for n in graph.node for o in n.output] + [i.name for i in graph.initializer]
    how = rng.randrange(8)
    if how == 0 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names + [""])
    elif how == 1 and node.attribute:
        attribute = rng.choice(node.attribute)
        attribute.i = number
        attribute.ints[:] = [number] * len(attribute.ints)
    elif how == 2:
        node.op_type = rng.choice([n.op_type for n in graph.node])
    elif how == 3 and graph.initializer:
        tensor = rng.choice(graph.initializer)
        if tensor.data_type == P.INT64 and 8 * np.prod(tensor.dims) == len(tensor.raw_data) > 0:
            value = NH.to_array(tensor).copy()
            value.flat[rng.randrange(value.size)] = number
            tensor.CopyFrom(NH.from_array(value, tensor.name))
        elif tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = number
    elif how == 4:
        dims = rng.choice(graph.input).type.tensor_type.shape.dim
        if dims:
            rng.choice(dims).dim_value = number
    elif how == 5:
        rng.choice(graph.input).type.tensor_type.elem_type = rng.randrange(20)
    elif how == 6 and node.input:
        del node.input[-1]
    elif how == 7:
        node.output[:] = [*node.output, "more"]


SMALL = [
    "cfc_cell",
    "ltc_cell_ncp19",
    "gru_op",
    "node_euler_grid8",
    "ctrnn_feedback_loop",
    "cfc_scan",
]


def fuzz(seeds):
    """Compiles damaged models: each ends in an artifact or an error; prints the seeds."""
    for seed in seeds:
        rng = random.Random(seed)
        data = damage(rng, (ZOO / f"{rng.choice(SMALL)}.onnx").read_bytes())
        print("seed", seed, flush=True)
        try:
            lnnc.compile(data)
        except lnnc.Error as error:
            text = str(error)
            assert len(text) > 10 and "crashed" not in text and "without saying why" not in text, (
                text
            )


def test_chance():
    """In a process of its own, with bounded memory: an abort fails this test alone."""
    if not (ZOO / "cfc_cell.onnx").exists():
        pytest.skip("no zoo")
    script = "import test_bad_models as t; t.fuzz(range(60))"
    if not SANITIZED:
        limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30));"
        script = limit + script
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "test" / "python",
        capture_output=True,
        text=True,
        timeout=3000 if SANITIZED else 300,
    )
    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-2000:]
