"""Compiles two networks exported from PyTorch, checks them against PyTorch's outputs, and times
them beside ONNX Runtime: one thread each, in the same run.

    .venv/bin/python examples/demo.py
"""

import pathlib
import statistics
import sys
import time

import lnnc
import numpy as np
import onnxruntime

ZOO = pathlib.Path(__file__).resolve().parents[1] / "test" / "zoo"
# The model, what it is, and how many time steps one call makes.
MODELS = [
    ("ltc_ncp_seq_t16", "LTC, neural-circuit-policy wiring", 16),
    ("cfc_seq_t16", "CfC, dense", 16),
]
TOLERANCE = 2e-6
ROUNDS = 200


def reference_sets(name):
    """The inputs and PyTorch's outputs, as (inputs, outputs) pairs of dicts."""
    archive = np.load(ZOO / f"{name}.npz")
    for index in range(2):
        yield tuple(
            {key.split(".", 1)[1]: archive[key] for key in archive.files if key.startswith(prefix)}
            for prefix in (f"in{index}.", f"out{index}.")
        )


def largest_error(model, name):
    """The largest |error| / max(1, |reference|) over all outputs of all sets."""
    worst = 0.0
    for inputs, outputs in reference_sets(name):
        results = model.run(inputs)
        for key, want in outputs.items():
            error = np.abs(results[key].astype("f8") - want) / np.maximum(1, np.abs(want))
            worst = max(worst, float(error.max()))
    return worst


def onnxruntime_session(path):
    """ONNX Runtime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def medians(calls, rounds=ROUNDS):
    """The median time of each call in microseconds, called in turn."""
    times = [[] for _ in calls]
    for _ in range(rounds):
        for call, own in zip(calls, times):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [statistics.median(own) * 1e6 for own in times]


def measure(name, steps):
    """Seconds to compile, the largest error, and microseconds a step: ours, ONNX Runtime's."""
    path = ZOO / f"{name}.onnx"
    print(f"   ... compiling {name}", flush=True)
    start = time.perf_counter()
    model = lnnc.compile(path)
    seconds = time.perf_counter() - start
    session = onnxruntime_session(path)
    inputs = next(reference_sets(name))[0]
    ours, theirs = medians([lambda: model.run(inputs), lambda: session.run(None, inputs)])
    return seconds, largest_error(model, name), ours / steps, theirs / steps


def main():
    """Exit status: 0 if every output agrees with PyTorch's."""
    rows = [(what, *measure(name, steps)) for name, what, steps in MODELS]
    print()
    head = ("", "compile s", "max error", "lnnc us/step", "ORT us/step", "ratio")
    print("{:<34} {:>9} {:>10} {:>13} {:>12} {:>7}".format(*head))
    for what, seconds, error, ours, theirs in rows:
        times = f"{ours:13.2f} {theirs:12.2f} {theirs / ours:6.1f}x"
        print(f"{what:<34} {seconds:9.2f} {error:10.1e} {times}")
    print(
        f"\nThe error is the largest |difference| / max(1, |value|) from PyTorch's outputs; "
        f"{TOLERANCE:.0e} is allowed.\nTimes are medians of {ROUNDS} calls from Python, one thread "
        f"each, ONNX Runtime {onnxruntime.__version__}.\n"
    )
    if any(error > TOLERANCE for _, _, error, _, _ in rows):
        print("error: an output differs from PyTorch's by more than that", file=sys.stderr)
        return 1
    print("Next, with a model of your own:")
    print("  build/bin/lnn-translate --check-onnx model.onnx    # says all that is not supported")
    print("  build/bin/lnnc model.onnx -o model.so && build/bin/lnn-run model.so --bench 1000")
    print("  .venv/bin/python -c 'import lnnc; print(lnnc.compile(\"model.onnx\"))'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
