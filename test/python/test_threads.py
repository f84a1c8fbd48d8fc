"""Calls on several threads: the same bits, and what can be split."""

import copy
import os
import pathlib
import pickle
import re
import subprocess
import threading
import types

import lnnc
import numpy as np
import pytest
from conftest import BUILD, ZOO, error, make_onnx

THREADS = [1, 2, 3, 5]
# Of test/zoo: those that calls give batches, and where each input has it.
DYNAMIC = {
    "cfc_cell": {"time": 1},
    "ltc_cell_ncp19": {"time": 1},
    "ltc_scan_dynamic": {"time": 3},
    "gru_op": {"time": 3},
    "lstm_op": {"time": 3},
    "rnn_tanh_op": {"time": 3},
}


def draw(model, sizes, seed=0):
    """Inputs of these sizes."""
    random = np.random.default_rng(seed)
    inputs = {}
    for info in model.get_inputs():
        shape = [size if isinstance(size, int) else sizes[size] for size in info.shape]
        inputs[info.name] = random.uniform(0.1, 1, shape).astype(info.dtype)
    return inputs


def dynamic_names(model):
    return {d for info in model.get_inputs() for d in info.shape if isinstance(d, str)}


def equal(first, second):
    return all(np.array_equal(first[k].view("u4"), second[k].view("u4")) for k in first)


@pytest.fixture(scope="module")
def artifacts():
    return {name: lnnc.compile(ZOO / f"{name}.onnx")._artifact for name in DYNAMIC}


@pytest.mark.parametrize("name", DYNAMIC)
def test_bits_of_any_batch(name, artifacts):
    alone = lnnc.Model(artifacts[name])
    assert alone.splits_batch and alone.threads == 1
    names = dynamic_names(alone)
    for batch in (1, 3, 16, 17, 65, 200):
        sizes = {n: batch for n in names} | {k: v for k, v in DYNAMIC[name].items() if k in names}
        inputs = draw(alone, sizes, batch)
        want = alone.run(inputs)
        for threads in THREADS:
            model = lnnc.Model(artifacts[name], threads=threads)
            assert model.threads == threads
            assert equal(model.run(inputs), want), (batch, threads)


# Of test/zoo: those whose batch, along this axis, can be made to vary.
FREED = {
    "cfc_bidir_scan": 1,
    "cfc_while_loop": 1,
    "ctrnn_feedback_loop": 1,
    "ltc_cell_fc64": 0,
    "node_rk4_grid8": 0,
}


@pytest.mark.parametrize("name", FREED)
def test_bits_of_a_freed_batch(name):
    path = ZOO / f"{name}.onnx"
    shapes = {info.name: info.shape for info in lnnc.compile(path).get_inputs()}
    # States have no time: their batch is the first axis.
    axes = {k: {min(FREED[name], len(shape) - 2): "rows"} for k, shape in shapes.items()}
    alone = lnnc.compile(path, dynamic=axes)
    assert alone.splits_batch
    for rows in (5, 16, 41, 128):
        sizes = {n: rows if n == "rows" else 3 for n in dynamic_names(alone)}
        inputs = draw(alone, sizes, rows)
        want = alone.run(inputs)
        for threads in THREADS:
            assert equal(lnnc.Model(alone._artifact, threads=threads).run(inputs), want)


def matrix_model(batch, hidden=64, dynamic=False):
    """A dense layer and an elementwise one, of a batch as large as a layer is wide or not."""
    random = np.random.default_rng(1)
    w = random.standard_normal((8, hidden)).astype("f4")
    v = random.standard_normal((hidden, hidden)).astype("f4")
    nodes = [
        ("MatMul", ["x", "w"], ["a"], {}),
        ("Tanh", ["a"], ["b"], {}),
        ("MatMul", ["b", "v"], ["c"], {}),
        ("Add", ["c", "h"], ["y"], {}),
    ]
    size = "batch" if dynamic else batch
    return make_onnx(
        nodes,
        {"x": ("f4", [size, 8]), "h": ("f4", [size, hidden])},
        {"y": ("f4", [size, hidden])},
        {"w": w, "v": v},
    ), lambda x, h: np.tanh(x.astype("f8") @ w.astype("f8")) @ v.astype("f8") + h


@pytest.mark.parametrize("batch", [8, 16, 37, 64, 100, 256])
def test_bits_of_a_fixed_batch(batch):
    source, reference = matrix_model(batch)
    alone = lnnc.compile(source)
    assert alone.splits_batch == (batch not in (8, 37))
    inputs = draw(alone, {})
    want = alone.run(inputs)
    assert error(want["y"], reference(**inputs).astype("f4")) < 1e-5
    for threads in THREADS:
        assert equal(lnnc.Model(alone._artifact, threads=threads).run(inputs), want), threads


def gru(hidden, batch):
    """Ten steps of it, from a state that is given."""
    random = np.random.default_rng(2)
    w, r, b = (
        (random.uniform(-1, 1, s) / np.sqrt(hidden)).astype("f4")
        for s in ((1, 3 * hidden, 8), (1, 3 * hidden, hidden), (1, 6 * hidden))
    )
    return make_onnx(
        [("GRU", ["x", "w", "r", "b", "", "h"], ["y", "hn"], {"hidden_size": hidden})],
        {"x": ("f4", [10, batch, 8]), "h": ("f4", [1, batch, hidden])},
        {"y": ("f4", [10, 1, batch, hidden]), "hn": ("f4", [1, batch, hidden])},
        {"w": w, "r": r, "b": b},
    )


def convolution():
    random = np.random.default_rng(3)
    return make_onnx(
        [("Conv", ["x", "w"], ["y"], {"pads": [1, 1, 1, 1]})],
        {"x": ("f4", [1, 16, 20, 20])},
        {"y": ("f4", [1, 24, 20, 20])},
        {"w": random.standard_normal((24, 16, 3, 3)).astype("f4")},
    )


WIDE = {
    "one row": lambda: matrix_model(1, 512)[0],
    "a ragged end": lambda: matrix_model(1, 523)[0],
    "few rows": lambda: matrix_model(5, 256)[0],
    "rows without a divisor": lambda: matrix_model(37, 128)[0],
    "a number of rows that calls say": lambda: matrix_model(0, 500, dynamic=True)[0],
    "steps": lambda: gru(400, 1),
    "steps of three": lambda: gru(400, 3),
    "a convolution": convolution,
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("options", [{}, {"weights": "int8"}, {"products": "bf16"}], ids=str)
def test_bits_of_wide_layers(name, options):
    """Threads share the columns of large sums."""
    alone = lnnc.compile(WIDE[name](), **options)
    for rows in (1, 7) if dynamic_names(alone) else (0,):
        inputs = draw(alone, {n: rows for n in dynamic_names(alone)})
        want = alone.run(inputs)
        for threads in THREADS:
            model = lnnc.Model(alone._artifact, threads=threads)
            for _ in range(3):
                assert equal(model.run(inputs), want), threads


def test_loops_that_threads_share(tmp_path):
    """Wide layers have some; a batch that is split has none in its code for the whole."""
    tool = BUILD / "bin" / "lnnc"
    if not tool.exists():
        pytest.skip(f"no {tool}")
    narrow = [matrix_model(1, 64)[0], matrix_model(64, 256)[0]]
    for source in [*(make() for make in WIDE.values()), *narrow]:
        (tmp_path / "m.onnx").write_bytes(source.SerializeToString())
        command = [tool, tmp_path / "m.onnx", "--emit=llvm", "-o", tmp_path / "m.ll"]
        subprocess.run(command, check=True)
        text = (tmp_path / "m.ll").read_text()
        shared = "@lnn_part_0" in text
        assert shared == all(source is not n for n in narrow)
        # An older runtime has no threads for them.
        version = re.search(rf"i32 {0x314E4E4C}, i32 (\d+)", text)
        assert int(version[1]) == (2 if shared else 1)


@pytest.mark.parametrize("threads", THREADS)
def test_sessions_of_wide_layers(threads):
    source = gru(400, 1)
    whole = lnnc.compile(source)
    inputs = draw(whole, {}, 5)
    inputs["h"][:] = 0
    model = lnnc.compile(source, dynamic={"x": {0: "time"}}, threads=threads)
    session = model.session()
    steps = [session.step(x=inputs["x"][t : t + 1])["y"].copy() for t in range(10)]
    assert np.array_equal(np.concatenate(steps), whole.run(inputs)["y"])


def test_rows_that_depend_on_one_another_stay_together():
    nodes = [
        ("ReduceMean", ["x"], ["m"], {"axes": [0], "keepdims": 1}),
        ("Sub", ["x", "m"], ["y"], {}),
    ]
    source = make_onnx(nodes, {"x": ("f4", [64, 5])}, {"y": ("f4", [64, 5])}, opset=13)
    model = lnnc.compile(source, threads=3)
    assert not model.splits_batch and model.threads == 3
    x = np.random.default_rng(0).standard_normal((64, 5)).astype("f4")
    want = x.astype("f8") - x.astype("f8").mean(0)
    assert error(model(x=x)["y"], want.astype("f4")) < 1e-6


def test_a_number_of_rows_that_is_a_value_stays():
    """x + how many rows there are: a part would see another number."""
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Gather", ["s", "zero"], ["n"], {"axis": 0}),
        ("Cast", ["n"], ["f"], {"to": 1}),
        ("Add", ["x", "f"], ["y"], {}),
    ]
    zero = {"zero": np.array(0, "i8")}
    source = make_onnx(nodes, {"x": ("f4", ["n", 5])}, {"y": ("f4", ["n", 5])}, zero)
    model = lnnc.compile(source, threads=2)
    x = np.zeros((64, 5), "f4")
    assert not model.splits_batch and np.all(model(x=x)["y"] == 64)


def test_sessions(artifacts):
    alone = lnnc.Model(artifacts["ltc_scan_dynamic"])
    model = lnnc.Model(artifacts["ltc_scan_dynamic"], threads=2)
    a, b = alone.session(batch=33), model.session(batch=33)
    for step in range(4):
        inputs = draw(alone, {"time": 2, "batch": 33}, step)
        inputs.pop("h0")
        assert all(np.array_equal(p, q) for p, q in zip(a.step(**inputs), b.step(**inputs)))
    assert np.array_equal(a.state["h0"], b.state["h0"])


def test_a_pool_for_several(artifacts, tmp_path):
    pool = lnnc.ThreadPool(3)
    assert pool.threads == 3 and repr(pool) == "lnnc.ThreadPool(3)"
    models = [lnnc.Model(artifacts[n], threads=pool) for n in ("gru_op", "cfc_cell")]
    del pool
    path = tmp_path / "m.so"
    models[0].save(path)
    models.append(lnnc.load(path, threads=2))
    inputs = [draw(m, {n: 40 for n in dynamic_names(m)}) for m in models]
    want = [lnnc.Model(m._artifact).run(i) for m, i in zip(models, inputs)]
    wrong = []

    def work():
        for _ in range(50):
            for m, i, w in zip(models, inputs, want):
                if not equal(m.run(i), w):
                    wrong.append(m)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def count_threads():
    """Those of pools."""
    tasks = pathlib.Path("/proc/self/task").glob("*/comm")
    return sum(task.read_text().strip() == "lnn-worker" for task in tasks)


def test_threads_start_where_asked_for_and_end(artifacts):
    model = lnnc.Model(artifacts["gru_op"], threads=1)
    assert count_threads() == 0
    model = lnnc.Model(artifacts["gru_op"], threads=4)
    assert count_threads() == 3
    assert pickle.loads(pickle.dumps(model)).threads == 4 and copy.copy(model).threads == 4
    del model
    assert count_threads() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_has_threads_of_its_own(artifacts):
    model = lnnc.Model(artifacts["gru_op"], threads=2)
    inputs = draw(model, {n: 40 for n in dynamic_names(model)})
    want = model.run(inputs)
    child = os.fork()
    if child == 0:
        os._exit(0 if equal(model.run(inputs), want) and count_threads() == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert equal(model.run(inputs), want)


@pytest.mark.parametrize("threads", [0, -1, 1025, 2**40, 1.5, "2", None])
def test_numbers_that_make_no_sense(threads, artifacts, tmp_path):
    path = tmp_path / "m.so"
    path.write_bytes(artifacts["cfc_cell"])
    for make in (
        lambda: lnnc.load(path, threads=threads),
        lambda: lnnc.compile(ZOO / "cfc_cell.onnx", threads=threads),
        lambda: lnnc.ThreadPool(threads),
    ):
        with pytest.raises(lnnc.InputError, match="threads"):
            make()


def test_inference_session_takes_its_options(artifacts):
    for number, want in ((3, 3), (0, 1)):
        options = types.SimpleNamespace(intra_op_num_threads=number)
        session = lnnc.InferenceSession(artifacts["cfc_cell"], sess_options=options)
        assert session.model.threads == want


def test_an_artifact_does_not_depend_on_threads():
    source, _ = matrix_model(32)
    assert lnnc.compile(source)._artifact == lnnc.compile(source, threads=2)._artifact
