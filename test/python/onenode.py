"""Models of one node, run with sizes that are symbols and with sizes that are numbers."""

import lnnc
import numpy as np
import onnx
import onnx.helper as oh


def one_node(op, inputs, consts=(), outputs=1, opset=24, dynamic=True, domain="", **attrs):
    """A model of one node; `consts` are the inputs that are constants, None is an omitted one."""
    names, infos, inits = [], [], []
    for i, x in enumerate(inputs):
        names.append("" if x is None else f"x{i}")
        if x is None:
            continue
        x = np.asarray(x)
        if i in consts:
            inits.append(onnx.numpy_helper.from_array(x, f"x{i}"))
            continue
        kind = oh.np_dtype_to_tensor_dtype(x.dtype)
        dims = [f"d{i}_{k}" if dynamic and d > 1 else d for k, d in enumerate(x.shape)]
        if isinstance(dynamic, dict):
            dims = [dynamic.get((i, k), d) for k, d in enumerate(x.shape)]
        infos.append(oh.make_tensor_value_info(f"x{i}", kind, dims))
    outs = [f"y{i}" for i in range(outputs)]
    node = oh.make_node(op, names, outs, name="node", domain=domain, **attrs)
    graph = oh.make_graph([node], "g", infos, [onnx.ValueInfoProto(name=o) for o in outs], inits)
    opsets = [oh.make_opsetid("", opset)]
    return oh.make_model(graph, opset_imports=opsets, ir_version=10)


def run(op, inputs, consts=(), outputs=1, opset=24, dynamic=False, options=None, **attrs):
    """The outputs of a node."""
    model = one_node(op, inputs, consts, outputs, opset, dynamic, **attrs)
    compiled = lnnc.compile(model, **(options or {}))
    feeds = {
        f"x{i}": np.asarray(x, order="C")
        for i, x in enumerate(inputs)
        if x is not None and i not in consts
    }
    results = compiled.run(feeds)
    return [results[f"y{i}"] for i in range(outputs)]


def close(got, want, tol=2e-6):
    """Compares with a float64 reference: the error relative to max(1, |want|)."""
    want = np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    got = got.astype(np.float64)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    difference = np.abs(got - want) / np.maximum(1, np.abs(want))
    assert np.nanmax(difference, initial=0) <= tol, np.nanmax(difference)
