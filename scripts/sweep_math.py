#!/usr/bin/env python3
"""Measures the elementary functions on every float32 there is: minutes for each function.

  .venv/bin/python scripts/sweep_math.py [FUNCTION ...] [--stride N]

Functions are named as in MLIR (math.exp, lnn.sigmoid); all by default. --stride N takes every Nth
number. Prints the largest error of each, in units of the last place, where it is, and what is
documented; exits with 1 where one is larger. test/python/test_math.py does the same on samples.
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "test" / "python"))

import conftest  # noqa: E402, F401 (finds lnnc)
from math_reference import UNARY, compile_functions, evaluate, reference  # noqa: E402
from test_math import applies, bound_of, measure  # noqa: E402

CHUNK = 1 << 22


def sweep(name, stride):
    model = compile_functions([name], "f32")
    worst, where = -1.0, None
    for start in range(0, 1 << 32, CHUNK * stride):
        bits = np.arange(start, min(start + CHUNK * stride, 1 << 32), stride, dtype="u8")
        x = bits.astype("u4").view("f4")
        (got,) = evaluate(model, x)
        want = reference(UNARY[name][0], np.float32, x)
        error = measure(name, "f32", got, want, applies(name, "f32", x))
        at = int(np.argmax(error))
        if error[at] > worst:
            worst, where = float(error[at]), x[at]
    return worst, where


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("functions", nargs="*", metavar="FUNCTION")
    parser.add_argument("--stride", type=int, default=1)
    options = parser.parse_args()
    unknown = [name for name in options.functions if name not in UNARY]
    if unknown or options.stride < 1:
        parser.error(f"no function {unknown[0]}" if unknown else "--stride is at least 1")
    failed = False
    for name in options.functions or UNARY:
        worst, where = sweep(name, options.stride)
        bound = bound_of(UNARY[name], "f32")
        failed |= worst > bound
        print(f"{name:14} {worst:7.3f} ulp at {where!s:16} documented {bound}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
