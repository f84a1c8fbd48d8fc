#!/usr/bin/env python3
"""Compiled models beside ONNX Runtime, one thread each, on the inputs of test/zoo.

    benchmarks/cpu.py [MODEL.onnx ...]                   compiles each (default: test/zoo)
    benchmarks/cpu.py --artifacts DIR --lnn-run EXE ...  runs what was compiled elsewhere

The two sides alternate in rounds; the table has the median of all calls of each, in microseconds,
and the ratio. Outputs must agree to 1e-5 before anything is timed. `--json FILE` writes it all.
"""

import argparse
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ZOO = pathlib.Path(__file__).resolve().parent.parent / "test" / "zoo"


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=pathlib.Path, metavar="MODEL.onnx")
    parser.add_argument("--artifacts", type=pathlib.Path, help="a folder of MODEL.so")
    parser.add_argument("--lnn-run", default="build/bin/lnn-run", help="what runs --artifacts")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each side of a model")
    parser.add_argument("--rounds", type=int, default=5, help="how often the sides alternate")
    parser.add_argument("--core", type=int, help="the core to stay on")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    return parser.parse_args()


def first_set(path):
    arrays = np.load(path.with_suffix(".npz"))
    return {name[4:]: arrays[name] for name in arrays.files if name.startswith("in0.")}


def times(call, seconds):
    """Microseconds of each call within that time, at least three."""
    call()
    found, end = [], time.perf_counter() + seconds
    while len(found) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        found.append((time.perf_counter() - begin) * 1e6)
    return found


class OnnxRuntime:
    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.names = [output.name for output in self.session.get_outputs()]

    def run(self, inputs):
        return dict(zip(self.names, self.session.run(None, inputs)))

    def times(self, inputs, seconds):
        return times(lambda: self.session.run(None, inputs), seconds)


class Compiled:
    def __init__(self, path):
        import lnnc

        self.model = lnnc.compile(path)

    def run(self, inputs):
        return self.model.run(inputs)

    def times(self, inputs, seconds):
        return times(lambda: self.model.run(inputs), seconds)


class Artifact:
    """Through lnn-run, which times calls from C."""

    def __init__(self, path, options):
        self.command = [options.lnn_run, str(options.artifacts / (path.stem + ".so"))]
        self.inputs = str(path.with_suffix(".npz"))

    def say(self, *flags):
        done = subprocess.run(
            [*self.command, "--inputs", self.inputs, *flags],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def run(self, inputs):
        with tempfile.TemporaryDirectory() as folder:
            outputs = pathlib.Path(folder) / "outputs.npz"
            self.say("--outputs", str(outputs))
            return dict(np.load(outputs))

    def times(self, inputs, seconds):
        once = float(re.search(r"^run .*median ([\d.]+)", self.say("--bench", "10"), re.M)[1])
        calls = str(max(10, int(seconds * 1e6 / max(once, 0.1) / 2)))
        line = re.search(r"^run .*median ([\d.]+)", self.say("--bench", calls), re.M)
        return [float(line[1])]


def compare(path, options):
    inputs = first_set(path)
    peer = OnnxRuntime(path)
    ours = Artifact(path, options) if options.artifacts else Compiled(path)
    want, got = peer.run(inputs), ours.run(inputs)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5, rtol=1e-5, err_msg=name)
    found = {"lnnc": [], "onnxruntime": []}
    for _ in range(options.rounds):
        found["lnnc"] += ours.times(inputs, options.seconds / options.rounds)
        found["onnxruntime"] += peer.times(inputs, options.seconds / options.rounds)
    return {side: statistics.median(figures) for side, figures in found.items()}


def main():
    options = arguments()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    models = options.models or sorted(ZOO.glob("*.onnx"))
    figures, failed = {}, False
    print(f"{'microseconds a call':32s} {'lnnc':>10s} {'ONNX Runtime':>13s} {'ratio':>7s}")
    for path in models:
        try:
            row = figures[path.stem] = compare(path, options)
        except Exception as error:  # a model that fails is a line of the table
            failed = True
            print(f"{path.stem:32s} {type(error).__name__}: {str(error).strip()[:90]}")
            continue
        ratio = row["onnxruntime"] / row["lnnc"]
        print(
            f"{path.stem:32s} {row['lnnc']:10.2f} {row['onnxruntime']:13.2f} {ratio:6.1f}x",
            flush=True,
        )
    ratios = [row["onnxruntime"] / row["lnnc"] for row in figures.values()]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"geometric mean {mean:.1f}x, least {min(ratios):.1f}x, {len(ratios)} models")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
