"""Sessions: states carried from step to step, snapshots, forks, resets."""

import copy
import pickle
import random

import lnnc
import numpy as np
import pytest
from conftest import make_leaky, make_onnx


def uniform(rng, *shape, low=-1.0):
    return rng.uniform(low, 1, shape).astype("f4")


def ctrnn_inputs(time, seed=3):
    rng = np.random.default_rng(seed)
    return uniform(rng, time, 2, 8), uniform(rng, time, 2, 1, low=0.05)


def test_step_carries_the_state(leaky):
    session = leaky.session(batch=2)
    x = np.ones((2, 3), "f4")
    assert np.array_equal(session.step(x=x)["y"], 2 * x)
    out = session.step(x=x)
    assert np.array_equal(out["h_next"], 1.5 * x) and np.array_equal(out["y"], 3 * x)
    assert np.array_equal(session.state["h"], 1.5 * x)


def test_a_step_is_a_run(zoo_model):
    model = zoo_model("ltc_cell_ncp19")
    rng = np.random.default_rng(0)
    xs, ts = uniform(rng, 30, 3, 32), uniform(rng, 30, 3, 1, low=0.05)
    session, h = model.session(batch=3), np.zeros((3, 19), "f4")
    for x, t in zip(xs, ts):
        want = model.run({"x": x, "h": h, "ts": t})
        h = want["h_next"]
        got = session.step(x=x, ts=t)
        assert got["y"].tobytes() == want["y"].tobytes()
        assert session.state["h"].tobytes() == h.tobytes() == got["h_next"].tobytes()


@pytest.mark.parametrize("seed", range(8))
def test_chunks_of_any_length_equal_the_whole(zoo_model, seed):
    model = zoo_model("ctrnn_feedback_loop")
    time = 64
    x, dt = ctrnn_inputs(time, seed)
    whole = model.run({"x": x, "h0": np.zeros((2, 32), "f4"), "dt": dt})
    session, parts, at = model.session(), [], 0
    draw = random.Random(seed)
    while at < time:
        n = min(draw.choice([1, 2, 3, 7, 16, 31]), time - at)
        parts.append(session.step(x=x[at : at + n], dt=dt[at : at + n])["y"])
        at += n
    assert np.concatenate(parts).tobytes() == whole["y"].tobytes()
    assert session.state["h0"].tobytes() == whole["hn"].tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_chunks_of_a_scan_equal_the_whole(zoo_model, seed):
    model = zoo_model("ltc_scan_dynamic")
    rng = np.random.default_rng(seed)
    time, batch = 33, 5
    x, dt = uniform(rng, time, batch, 6), uniform(rng, time, batch, 1, low=0.05)
    whole = model.run({"x": x, "h0": np.zeros((batch, 20), "f4"), "dt": dt})
    session, parts, at = model.session(batch=batch), [], 0
    while at < time:
        n = int(min(rng.integers(1, 12), time - at))
        parts.append(session.step(x=x[at : at + n], dt=dt[at : at + n])["y"])
        at += n
    assert np.concatenate(parts).tobytes() == whole["y"].tobytes()


def test_snapshot_is_a_copy_and_resumes(leaky):
    session = leaky.session(batch=2)
    x = np.ones((2, 3), "f4")
    session.step(x=x)
    snapshot = session.state
    kept = snapshot["h"].copy()
    want = session.step(x=x)
    assert np.array_equal(snapshot["h"], kept)
    session.state = snapshot
    assert np.array_equal(session.step(x=x)["y"], want["y"])
    other = leaky.session(batch=2)
    other.state = pickle.loads(pickle.dumps(snapshot))
    assert np.array_equal(other.step(x=x)["y"], want["y"])


def test_initial_state(leaky):
    h = np.full((2, 3), 4, "f4")
    session = leaky.session(batch=2, state={"h": h})
    assert np.array_equal(session.step(x=np.zeros((2, 3), "f4"))["h_next"], h / 2)


def test_forks_go_their_own_ways(leaky):
    session = leaky.session(batch=2)
    x = np.ones((2, 3), "f4")
    session.step(x=x)
    forks = [session.fork(), copy.copy(session), copy.deepcopy(session)]
    session.step(x=x)
    session.step(x=x)
    for fork in forks:
        assert fork.model is leaky
        assert np.array_equal(fork.step(x=x)["h_next"], 1.5 * x)


def test_reset(leaky):
    session = leaky.session(batch=2)
    x = np.ones((2, 3), "f4")
    first = session.step(x=x)["y"]
    session.step(x=x)
    session.reset()
    assert not session.state["h"].any()
    assert np.array_equal(session.step(x=x)["y"], first)


def test_reset_of_lanes(leaky):
    session = leaky.session(batch=4)
    x = np.ones((4, 3), "f4")
    session.step(x=x)
    session.reset(lanes=[2])
    assert np.array_equal(session.state["h"][:, 0], [1, 1, 0, 1])
    session.reset(lanes=np.array([0, 3]))
    assert np.array_equal(session.state["h"][:, 0], [0, 1, 0, 0])
    session.reset(lanes=[])
    assert np.array_equal(session.state["h"][:, 0], [0, 1, 0, 0])


@pytest.mark.parametrize("lanes", [[4], [-1], [0, 99], ["0"], [2**70]])
def test_reset_of_a_lane_that_is_not_there(leaky, lanes):
    session = leaky.session(batch=4)
    session.step(x=np.ones((4, 3), "f4"))
    with pytest.raises(lnnc.InputError, match="lane"):
        session.reset(lanes=lanes)
    assert session.state["h"].all()


def test_lane_reset_equals_a_fresh_lane(zoo_model):
    model = zoo_model("ltc_cell_ncp19")
    rng = np.random.default_rng(1)
    xs, ts = uniform(rng, 12, 3, 32), uniform(rng, 12, 3, 1, low=0.05)
    session, fresh = model.session(batch=3), model.session(batch=3)
    for t in range(6):
        session.step(x=xs[t], ts=ts[t])
    session.reset(lanes=[1])
    for t in range(6, 12):
        got, want = session.step(x=xs[t], ts=ts[t]), fresh.step(x=xs[t], ts=ts[t])
        assert got["y"][1].tobytes() == want["y"][1].tobytes()


def test_a_wrong_batch_is_refused_and_the_state_kept(leaky, zoo_model):
    session = leaky.session(batch=2)
    session.step(x=np.ones((2, 3), "f4"))
    with pytest.raises(lnnc.InputError, match="batch"):
        session.step(x=np.ones((3, 3), "f4"))
    assert np.array_equal(session.state["h"], np.ones((2, 3), "f4"))
    session = zoo_model("ctrnn_feedback_loop").session(batch=2)
    with pytest.raises(lnnc.InputError, match=r"3(.|\n)*2|2(.|\n)*3"):
        session.step(x=np.zeros((1, 3, 8), "f4"), dt=np.ones((1, 3, 1), "f4"))


def test_batch_that_the_model_fixes(zoo_model):
    model = zoo_model("ctrnn_feedback_loop")
    assert model.session(batch=2).state["h0"].shape == (2, 32)
    with pytest.raises(lnnc.InputError, match="batch 3"):
        model.session(batch=3)


def test_batch_under_another_name():
    model = lnnc.compile(make_leaky(batch="lanes"))
    assert model.session(batch=3).state["h"].shape == (3, 3)
    assert model.session(lanes=3).state["h"].shape == (3, 3)


@pytest.mark.parametrize(
    "sizes, message",
    [({}, "batch"), ({"batch": -1}, "batch"), ({"batch": "2"}, "batch"), ({"nope": 1}, "nope")],
)
def test_sizes_that_do_not_fit(leaky, sizes, message):
    with pytest.raises(lnnc.InputError, match=message):
        leaky.session(**sizes)


def test_state_that_does_not_fit(leaky):
    session = leaky.session(batch=2)
    session.step(x=np.ones((2, 3), "f4"))
    for bad in (
        {},
        {"h": np.zeros((3, 3), "f4")},
        {"h": np.zeros((2, 3), "f8")},
        {"h": np.zeros((2, 3), "f4"), "nope": np.zeros((2, 3), "f4")},
    ):
        with pytest.raises(lnnc.InputError):
            session.state = bad
    assert session.state["h"].all()


def test_inputs_of_a_step(leaky):
    session = leaky.session(batch=2)
    x = np.ones((2, 3), "f4")
    for bad in ({}, {"x": x, "nope": x}, {"x": x, "h": x}, {"x": x.astype("f8")}):
        with pytest.raises(lnnc.InputError):
            session.step(**bad)
    assert not session.state["h"].any()


def test_states_that_names_do_not_say():
    spec = ("f4", ["batch", 2])
    nodes = [("Add", ["x", "memory"], ["total"], {})]
    proto = make_onnx(nodes, {"x": spec, "memory": spec}, {"total": spec})
    assert lnnc.compile(proto).states == {}
    model = lnnc.compile(proto, states={"memory": "total"})
    assert model.states == {"memory": "total"}
    session = model.session(batch=1)
    x = np.ones((1, 2), "f4")
    session.step(x=x)
    assert np.array_equal(session.step(x=x)["total"], 2 * x)


def test_a_session_of_a_model_without_states(zoo_model):
    model = zoo_model("gru_op")
    x = uniform(np.random.default_rng(2), 4, 3, 8)
    session = model.session()
    assert session.state == {}
    assert session.step(x=x)["y"].tobytes() == model.run({"x": x})["y"].tobytes()
    session.reset()


def test_a_session_does_not_pickle(leaky):
    with pytest.raises(TypeError, match="state"):
        pickle.dumps(leaky.session(batch=1))


def test_a_session_keeps_its_model_alive():
    session = lnnc.compile(make_leaky()).session(batch=1)
    assert np.array_equal(session.step(x=np.ones((1, 3), "f4"))["y"], np.full((1, 3), 2, "f4"))
    assert "h[1, 3]" in repr(session)


def test_results_in_the_callers_arrays(leaky):
    x, h = np.full((2, 3), 2, "f4"), np.full((2, 3), 4, "f4")
    wide = np.zeros((2, 6), "f4")
    y, hn = wide[:, ::2], np.zeros((2, 3), "f4")  # one of them strided
    out = leaky(x=x, h=h, out={"y": y})
    assert out["y"] is y and np.array_equal(y, np.full((2, 3), 8)) and not wide[:, 1::2].any()
    assert np.array_equal(out["h_next"], np.full((2, 3), 4))
    got = leaky.run({"x": x, "h": h}, out={"h_next": hn})
    assert got["h_next"] is hn and np.array_equal(hn, np.full((2, 3), 4))
    leaky.run({"x": x, "h": h}, out={"h_next": h})  # over an input
    assert np.array_equal(h, np.full((2, 3), 4))

    session = leaky.session(batch=2)
    for want in (2, 3, 3.5):
        out = session.step(x=x, out={"y": y, "h_next": hn})
        assert out["y"] is y and out["h_next"] is hn
        assert np.array_equal(hn, np.full((2, 3), want)) and np.array_equal(y, 2 * hn)
    assert session.state["h"] is not hn


def test_arrays_that_no_result_fits_into(leaky):
    x, h = np.ones((2, 3), "f4"), np.zeros((2, 3), "f4")
    frozen = np.zeros((2, 3), "f4")
    frozen.flags.writeable = False
    bad = [
        ({"z": x}, "no output 'z'; the outputs are: y, h_next"),
        ({"y": np.zeros((2, 3))}, "writeable NumPy array of float32"),
        ({"y": [[0.0] * 3] * 2}, "writeable NumPy array of float32"),
        ({"y": frozen}, "writeable NumPy array of float32"),
        ({"y": np.zeros((3, 3), "f4")}, "y"),
        ({"h_next": np.zeros((3, 3), "f4")}, "h_next"),
        (x, "dict of arrays by name"),
    ]
    session = leaky.session(batch=2)
    for out, words in bad:
        with pytest.raises(lnnc.InputError, match=words):
            leaky(x=x, h=h, out=out)
        with pytest.raises(lnnc.InputError, match=words):
            session.step(x=x, out=out)
        assert not session.state["h"].any()  # a step that fails has not been


def test_an_input_that_is_called_out():
    nodes = [("Add", ["out", "out"], ["y"], {})]
    model = lnnc.compile(make_onnx(nodes, {"out": ("f4", [2])}, {"y": ("f4", [2])}))
    given = np.ones(2, "f4")
    assert np.array_equal(model(out=given)["y"], 2 * given)
    y = np.zeros(2, "f4")
    assert model.run({"out": given}, out={"y": y})["y"] is y and np.array_equal(y, 2 * given)
