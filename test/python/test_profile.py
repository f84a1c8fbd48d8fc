"""Profiles: regions named after nodes, counts of known sizes, times within the call's."""

import subprocess
import xml.etree.ElementTree as xml

import lnnc
import numpy as np
import onnx
import onnx.helper as oh
import pytest
from conftest import BUILD, SANITIZED, zoo_path, zoo_sets


def product_model(m, k, n):
    """y = tanh(x @ w), with nodes of known names; m None is a size that varies."""
    weight = np.random.default_rng(0).normal(size=(k, n)).astype("f4")
    nodes = [
        oh.make_node("MatMul", ["x", "w"], ["p"], name="/fc/MatMul"),
        oh.make_node("Tanh", ["p"], ["y"], name="/act/Tanh"),
    ]
    info = oh.make_tensor_value_info
    graph = oh.make_graph(
        nodes,
        "g",
        [info("x", onnx.TensorProto.FLOAT, [m or "rows", k])],
        [info("y", onnx.TensorProto.FLOAT, [m or "rows", n])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8), weight


@pytest.mark.parametrize("fixed", [True, False])
def test_counts_of_a_product(fixed):
    m, k, n = 37, 64, 48
    proto, weight = product_model(m if fixed else None, k, n)
    model = lnnc.compile(proto, profile=True)
    x = np.random.default_rng(1).normal(size=(m, k)).astype("f4")
    want = np.tanh(x.astype("f8") @ weight)
    np.testing.assert_allclose(model.run({"x": x})["y"], want, atol=2e-6)
    profile = model.profile({"x": x}, calls=10)
    product = next(r for r in profile.regions if "/fc/MatMul" in r.nodes and r.kind == "sum")
    assert product.operations == 2 * m * k * n
    assert product.entries == 1
    # x once, the weights once, padded or not; the products written, and perhaps read.
    assert 4 * (m * k + k * n + m * n) <= product.bytes <= 4 * (m * k + 1.5 * k * n + 2 * m * n)
    activation = next(r for r in profile.regions if "/act/Tanh" in r.nodes)
    assert activation.operations == 20 * m * n


def test_times_are_within_the_call():
    model = lnnc.compile(zoo_path("cfc_scan"), profile=True)
    profile = model.profile(zoo_sets("cfc_scan")[0][0], calls=200)
    assert 0 < profile.calls <= 200
    top = sum(r.seconds for r in profile.regions if r.parent is None)
    assert 0 < top <= profile.seconds
    for index, region in enumerate(profile.regions):
        inside = [r for r in profile.regions if r.parent == index]
        assert sum(r.seconds for r in inside) <= region.seconds
        assert sum(r.operations for r in inside) <= region.operations
        assert region.parent is None or region.depth == profile.regions[region.parent].depth + 1


def test_regions_are_named_after_nodes():
    path = zoo_path("cfc_scan")
    names = set()

    def collect(graph):
        for node in graph.node:
            names.add(node.name)
            for attribute in node.attribute:
                collect(attribute.g)

    collect(onnx.load(path).graph)
    profile = lnnc.compile(path, profile=True).profile(zoo_sets("cfc_scan")[0][0], calls=3)
    loop = next(r for r in profile.regions if r.kind == "loop")
    assert loop.name == "node_scan__1" and loop.parent is None
    inside = [r for r in profile.regions if r.parent == profile.regions.index(loop)]
    assert {r.entries for r in inside} == {16}
    assert all(node in names for r in profile.regions for node in r.nodes), profile
    assert any("node_linear" in r.nodes for r in inside)


@pytest.mark.parametrize("name", ["gru_op", "ltc_scan_dynamic", "ctrnn_feedback_loop", "mamba_t16"])
def test_results_are_those_without_a_profile(name):
    plain, measured = (lnnc.compile(zoo_path(name), profile=p) for p in (False, True))
    inputs = zoo_sets(name)[0][0]
    want, got = plain.run(inputs), measured.run(inputs)
    assert all(np.array_equal(want[key], got[key]) for key in want)
    profile = measured.profile(inputs, calls=20)
    assert all(np.array_equal(want[key], measured.run(inputs)[key]) for key in want)
    assert profile.regions and all(r.seconds >= 0 for r in profile.regions)
    # What takes long enough to be timed well is no faster than the machine. A runtime with
    # sanitizers does not reach its peaks.
    if not SANITIZED:
        assert all((r.of_peak or 0) < 2 for r in profile.regions if r.seconds > 2e-6)


def test_reports(tmp_path):
    model = lnnc.compile(zoo_path("gru_op"), profile=True)
    profile = model.profile(zoo_sets("gru_op")[0][0], calls=3, svg=tmp_path / "gru.svg")
    assert "/r/GRU" in str(profile) and "of peak" in str(profile)
    drawn = (tmp_path / "gru.svg").read_text(encoding="utf-8")
    assert drawn == profile.svg()
    boxes = xml.fromstring(drawn).findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(profile.regions) + 1


def test_refusals():
    inputs = zoo_sets("cfc_cell")[0][0]
    with pytest.raises(lnnc.InputError, match=r"compiled without a profile.*profile=True"):
        lnnc.compile(zoo_path("cfc_cell")).profile(inputs)
    model = lnnc.compile(zoo_path("cfc_cell"), profile=True)
    with pytest.raises(lnnc.InputError, match="calls is at least 1"):
        model.profile(inputs, calls=0)
    with pytest.raises(lnnc.InputError, match="missing"):
        model.profile({})


def test_the_tool(tmp_path):
    tool, artifact = str(BUILD / "bin" / "lnn-run"), str(tmp_path / "m.so")
    lnnc.compile(zoo_path("cfc_scan"), profile=True).save(artifact)

    def say(*options):
        return subprocess.run([tool, artifact, *options], capture_output=True, text=True)

    table = say("--profile", "--bench", "5")
    assert table.returncode == 0 and "node_scan__1" in table.stdout
    assert "of 5 calls" in table.stdout
    assert xml.fromstring(say("--profile=svg").stdout).tag.endswith("svg")
    assert say("--profile=pdf").returncode == 2
    lnnc.compile(zoo_path("cfc_scan")).save(artifact)
    refused = say("--profile")
    assert refused.returncode == 4 and "lnnc --profile" in refused.stderr
