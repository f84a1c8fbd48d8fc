"""Sequences whose length is known: lists, splits, and what takes their elements out."""

import lnnc
import numpy as np
import onnx
import onnx.helper as oh
import pytest

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def build(nodes, outputs=("y",), dims=(2, 3, 4), **consts):
    inits = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in consts.items()]
    info = [oh.make_tensor_value_info("x", onnx.TensorProto.FLOAT, dims)]
    outs = [onnx.ValueInfoProto(name=o) for o in outputs]
    graph = oh.make_graph(nodes, "g", info, outs, inits)
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", 18)], ir_version=10)


def run(*args, **kwargs):
    return lnnc.compile(build(*args, **kwargs)).run({"x": X})


def test_insert_erase_and_length():
    nodes = [
        oh.make_node("Neg", ["x"], ["n"]),
        oh.make_node("SequenceConstruct", ["x", "n"], ["s"]),
        oh.make_node("Abs", ["n"], ["a"]),
        oh.make_node("SequenceInsert", ["s", "a", "one"], ["t"]),  # x, |n|, n
        oh.make_node("SequenceErase", ["t", "first"], ["u"]),  # |n|, n
        oh.make_node("SequenceAt", ["u", "last"], ["y"]),
        oh.make_node("SequenceAt", ["t", "one"], ["z"]),
        oh.make_node("SequenceLength", ["t"], ["n3"]),
    ]
    got = run(nodes, ("y", "z", "n3"), one=np.int64(1), first=np.int64(-3), last=np.int64(-1))
    np.testing.assert_array_equal(got["y"], -X)
    np.testing.assert_array_equal(got["z"], X)
    assert got["n3"] == 3 and got["n3"].dtype == np.int64


@pytest.mark.parametrize("new_axis", [0, 1])
@pytest.mark.parametrize("dims", [(2, 3, 4), ("b", 3, "t")])
def test_split_and_concat(new_axis, dims):
    nodes = [
        oh.make_node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0),
        oh.make_node("SequenceEmpty", [], ["e"]),
        oh.make_node("SequenceInsert", ["e", "row"], ["t"]),
        oh.make_node("SequenceAt", ["s", "two"], ["last"]),
        oh.make_node("SequenceInsert", ["t", "last"], ["u"]),
        oh.make_node("ConcatFromSequence", ["u"], ["y"], axis=0, new_axis=new_axis),
        oh.make_node("SequenceAt", ["s", "zero"], ["row"]),
    ]
    nodes.insert(2, nodes.pop())
    got = run(nodes, dims=dims, two=np.int64(2), zero=np.int64(0))["y"]
    rows = [X[:, 0], X[:, 2]]
    np.testing.assert_array_equal(got, np.stack(rows) if new_axis else np.concatenate(rows))


@pytest.mark.parametrize("split, at", [(2, 1), ([1, 0, 2], 2), ([3], 0)])
def test_split_sizes(split, at):
    nodes = [
        oh.make_node("SplitToSequence", ["x", "split"], ["s"], axis=-2),
        oh.make_node("SequenceAt", ["s", "at"], ["y"]),
    ]
    got = run(nodes, split=np.array(split, np.int64), at=np.int64(at))["y"]
    sizes = split if isinstance(split, list) else [2, 1]
    np.testing.assert_array_equal(got, np.split(X, np.cumsum(sizes)[:-1], 1)[at])


@pytest.mark.parametrize(
    "nodes, message",
    [
        ([("SequenceAt", ["x", "i"], {})], "must be a sequence"),
        ([("SequenceConstruct", ["x"], {}), ("SequenceAt", ["v0", "i"], {})], "position 5"),
        ([("SequenceConstruct", ["x"], {}), ("Relu", ["v0"], {})], "is a sequence"),
        ([("SplitToSequence", ["x", "i"], {}), ("ConcatFromSequence", ["v0"], {})], "axis 9"),
        ([("SequenceEmpty", [], {}), ("ConcatFromSequence", ["v0"], {})], "empty"),
    ],
)
def test_refusals(nodes, message):
    made = []
    for n, (op, inputs, attrs) in enumerate(nodes):
        if op == "ConcatFromSequence":
            attrs = {"axis": 9}
        made.append(oh.make_node(op, inputs, [f"v{n}"], **attrs))
    with pytest.raises(lnnc.Error, match=message):
        lnnc.compile(build(made, (f"v{len(made) - 1}",), i=np.int64(5)))
