"""`--explain`: what became of a model's nodes, and why what looks periodic is no loop."""

import re
import subprocess
import xml.dom.minidom

import onnx
import pytest
import unrolled
from conftest import ZOO, zoo_path
from test_reroll import BIN


def explain(path, form=None):
    flag = "--explain" + (f"={form}" if form else "")
    command = [BIN / "lnn-translate", "--import-onnx", flag, path]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()


def explain_graph(name, tmp_path, form=None):
    builder = unrolled.Builder(7)
    unrolled.GRAPHS[name](builder)
    path = tmp_path / "model.onnx"
    onnx.save(builder.model(), path)
    return explain(path, form)


@pytest.mark.parametrize("name", unrolled.GRAPHS)
def test_every_node_is_accounted_for(name, tmp_path):
    text = explain_graph(name, tmp_path)
    total = int(re.match(r"\S+: (\d+) nodes", text)[1])
    regions = re.findall(r"^  \S.* <- (\d+) nodes?,", text, re.MULTILINE)
    stay = int(re.search(r"^  (\d+) nodes stay", text, re.MULTILINE)[1])
    # a slice that several loops take counts for each of them
    assert sum(map(int, regions)) + stay >= total
    assert all(0 < int(n) <= total for n in regions) and stay <= total
    longest = unrolled.LOOPS[name]
    if longest:
        assert re.search(rf"{longest} (steps|iterations)", text), text
    svg = xml.dom.minidom.parseString(explain_graph(name, tmp_path, "svg"))
    assert len(svg.getElementsByTagName("title")) == total


REASONS = {
    "one_weight_differs": "no step more in front: MatMul node '.*' reads a constant of type "
    "tensor<6x6xf32> where all later steps read",
    "another_activation_once": "Tanh node '.*' has what Sigmoid node '.*' gives in its place",
    "the_first_step_differs": "no step more in front: MatMul node 'n6'",
    "layers_that_look_like_time": "repeat 5 times: MatMul node '.*' reads a constant",
    "no_recurrence": "repeat 8 times: nothing is handed on",
    "runge_kutta_stages": "repeat 4 times: Mul node 'n18' reads what Tanh node",
}


@pytest.mark.parametrize("name", REASONS)
def test_why_there_is_no_longer_loop(name, tmp_path):
    text = explain_graph(name, tmp_path)
    assert re.search(REASONS[name], text), text


def test_the_whole_of_an_export():
    text = explain(zoo_path("ctrnn_feedback_unrolled_t24"))
    assert "Scan over time, 24 steps" in text and "Loop of 4 iterations" in text
    assert "goes along x (dimension 0), dt (dimension 0)" in text
    assert "state tensor<2x32xf32>, from h0, its last value is hn" in text
    assert "no step more" not in text and "looks periodic" not in text


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.onnx")), ids=lambda p: p.stem)
def test_exports_are_explained(path):
    assert explain(path).startswith(path.stem + ": ")
    xml.dom.minidom.parseString(explain(path, "svg"))


def test_scans_in_log_steps_are_named():
    """What the pipeline does before it re-rolls: a parallel scan is one loop, and its cell."""
    text = explain(zoo_path("mtlnn_arr_mixer_t32"))
    assert re.search(r"Scan over time, 32 steps <- 5\d\d nodes, Slice .* to ScatterND", text)
    assert "was computed in log steps over time" in text
    assert "raised to lnn.linear_recurrence of a 5 x 16 state" in text


@pytest.mark.parametrize(
    "name, cell",
    {
        "node_rk4_grid8": "raised to one ode.solve of 8 intervals",
        "mamba_t16": "raised to lnn.linear_recurrence of a 16 x 128 state along dimension 1",
    }.items(),
)
def test_cells_are_named(name, cell):
    text = explain(zoo_path(name))
    assert cell in text
    title = text[: text.index(cell)].splitlines()
    assert any(re.match(r"  \S.* <- \d+ nodes, ", line) for line in title)
