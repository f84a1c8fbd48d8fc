"""Artifacts for AArch64, run under emulation: they load and compute the bits of x86-64's."""

import shutil
import subprocess

import lnnc
import numpy as np
import pytest
from conftest import BUILD, ROOT, zoo_path, zoo_sets

CXX, QEMU = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
MODELS = ["cfc_cell", "cfc_cell_ncp", "cfc_cell_pure", "cfc_scan", "ctrnn_feedback_loop", "gru_op",
          "lstm_op", "ltc_cell_fc64", "ltc_cell_ncp19", "ltc_ncp_seq_t16", "mamba_t16", "mtlnn_t16",
          "node_rk4_grid8", "rnn_tanh_op"]  # fmt: skip


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """Runs an artifact for AArch64 on inputs, in the model's order: the bytes of all outputs."""
    if not CXX or not QEMU:
        pytest.skip("no aarch64-linux-gnu-g++ or no qemu-aarch64")
    folder = tmp_path_factory.mktemp("aarch64")
    runner = folder / "run_raw"
    sources = sorted((ROOT / "lib" / "Runtime").glob("*.cpp"))
    options = ["-std=c++20", "-O1", "-pthread", '-DLNN_VERSION="test"', "-I", ROOT / "include"]
    main = ROOT / "test" / "python" / "run_raw.cpp"
    subprocess.run([CXX, *options, main, *sources, "-o", runner, "-ldl"], check=True)

    def run(artifact, arrays):
        with open(folder / "in", "wb") as out:
            for array in arrays:
                out.write(np.array([array.ndim, *array.shape], "i8").tobytes())
                out.write(np.ascontiguousarray(array).tobytes())
        command = [
            QEMU,
            "-L",
            "/usr/aarch64-linux-gnu",
            runner,
            artifact,
            folder / "in",
            folder / "out",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return (folder / "out").read_bytes()

    return run


def compile_for(path, to, *options):
    tool = BUILD / "bin" / "lnnc"
    if not tool.exists():
        pytest.skip(f"no {tool}")
    triple = [] if any("mtriple" in o for o in options) else ["--mtriple=aarch64-linux-gnu"]
    command = [tool, path, "-o", to, *triple, *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("name", MODELS)
def test_bits_are_those_of_x86(name, emulated, tmp_path):
    done = compile_for(zoo_path(name), tmp_path / "m.so")
    assert done.returncode == 0, done.stderr
    model = lnnc.compile(zoo_path(name), cpu="x86-64-v3")
    for inputs, _ in zoo_sets(name):
        want = b"".join(v.tobytes() for v in model(**inputs).values())
        arrays = [inputs[spec.name] for spec in model.get_inputs()]
        assert emulated(tmp_path / "m.so", arrays) == want


def test_an_artifact_for_another_system_is_refused(tmp_path):
    assert compile_for(zoo_path("cfc_cell"), tmp_path / "m.so").returncode == 0
    with pytest.raises(lnnc.LoadError, match="AArch64"):
        lnnc.load(tmp_path / "m.so")


SYSTEMS = "Linux on x86_64 or aarch64"


@pytest.mark.parametrize(
    "options,message",
    [
        ("--mtriple=armv7-linux-gnueabihf", SYSTEMS),
        ("--mtriple=aarch64-apple-macos", SYSTEMS),
        ("--mtriple=riscv64-linux-gnu", SYSTEMS),
        ("--mtriple=toaster", SYSTEMS),
        ("--mcpu=x86-64-v3", "no processor"),
    ],
)
def test_systems_that_there_are_not(options, message, tmp_path):
    done = compile_for(zoo_path("cfc_cell"), tmp_path / "m.so", options)
    assert done.returncode != 0 and message in done.stderr
