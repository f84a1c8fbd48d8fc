"""Runs the node tests of the installed `onnx` package through lnnc.onnx_backend.

Each test runs in a worker process with a time limit, so that none can end or stall the run.

    PYTHONPATH=build/python python scripts/onnx_node_tests.py                 # a summary
    PYTHONPATH=build/python python scripts/onnx_node_tests.py --filter resize --verbose
    PYTHONPATH=build/python python scripts/onnx_node_tests.py --write docs/onnx-operators.md
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import multiprocessing.connection
import pathlib
import pickle
import re
import sys
import time
import warnings
from typing import Any, NamedTuple

import numpy as np

STATUSES = ("passed", "refused", "FAILED", "CRASHED", "HUNG")


class Test(NamedTuple):
    """One of ONNX's node tests."""

    name: str
    op: str
    model: bytes
    data_sets: list[Any]
    rtol: float
    atol: float


class Result(NamedTuple):
    """How one test ended."""

    name: str
    op: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    specialised: tuple[str, ...] = ()


def load_tests(cache: str | None = None) -> list[Test]:
    """All node tests; `cache` is a file that saves generating them again."""
    if cache and pathlib.Path(cache).exists():
        return [Test(*t) for t in pickle.loads(pathlib.Path(cache).read_bytes())]
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    ops = {c.name: c.model.graph.node[-1].op_type for c in cases if c.model is not None}
    tests = []
    for c in cases:
        # A function's body is a test of the operator that it defines.
        base = re.sub(r"_expanded.*$", "", c.name)
        op = ops.get(base, ops[c.name])
        data = c.model.SerializeToString()
        tests.append(Test(c.name, op, data, c.data_sets, c.rtol, c.atol))
    if cache:
        pathlib.Path(cache).write_bytes(pickle.dumps([tuple(t) for t in tests]))
    return tests


def as_array(value: Any) -> Any:
    """Some tests hold their tensors as protobufs."""
    import onnx

    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def finfo(dtype: np.dtype) -> Any:
    """numpy.finfo, of bfloat16 too."""
    if dtype.name != "bfloat16":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


def compare(got: Any, want: Any, test: Test) -> str:
    """What differs, or an empty string."""
    if not isinstance(want, np.ndarray) and not np.isscalar(want) and not hasattr(want, "dtype"):
        return f"a {type(want).__name__} was expected"
    got, want = np.asarray(got), np.asarray(want)
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
    if want.dtype.kind in "iub":
        return "" if np.array_equal(got, want) else "other integers"
    # What is expected was rounded too, in the type of the result: of sums, at the size of the
    # largest element.
    unit = float(finfo(want.dtype).eps)
    got, want = got.astype(np.float64), want.astype(np.float64)
    finite = np.abs(want[np.isfinite(want)])
    atol = test.atol + unit * float(finite.max(initial=0))
    if np.allclose(got, want, rtol=test.rtol, atol=atol, equal_nan=True):
        return ""
    with np.errstate(all="ignore"):
        return f"differs by up to {np.nanmax(np.abs(got - want)):.3g}"


def run_test(test: Test) -> Result:
    """Runs one test here."""
    import lnnc
    import onnx
    from lnnc import onnx_backend

    start = time.perf_counter()

    def end(status: str, reason: str = "", specialised: tuple[str, ...] = ()) -> Result:
        seconds = time.perf_counter() - start
        return Result(test.name, test.op, status, reason, seconds, specialised)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rep = onnx_backend.prepare(onnx.ModelProto.FromString(test.model))
            for inputs, outputs in test.data_sets:
                outputs = [as_array(value) for value in outputs]
                got = rep.run([as_array(value) for value in inputs])
                if len(got) != len(outputs):
                    return end("FAILED", f"{len(got)} outputs instead of {len(outputs)}")
                for i, (g, w) in enumerate(zip(got, outputs)):
                    if difference := compare(g, w, test):
                        return end("FAILED", f"output {i}: {difference}", rep.specialised)
        return end("passed", "", rep.specialised)
    except lnnc.UnsupportedError as error:
        return end("refused", str(error))
    except Exception as error:  # every other one is a failure of the test
        crashed = "compiler crashed" in str(error)
        return end("CRASHED" if crashed else "FAILED", f"{type(error).__name__}: {error}")


def _worker(tests: list[Test], pipe: Any) -> None:
    while (index := pipe.recv()) is not None:
        pipe.send(run_test(tests[index]))


class _Worker:
    def __init__(self, context: Any, tests: list[Test]) -> None:
        self.pipe, child = context.Pipe()
        self.process = context.Process(target=_worker, args=(tests, child), daemon=True)
        self.process.start()
        child.close()
        self.index, self.deadline = -1, 0.0

    def give(self, index: int, limit: float) -> None:
        self.index, self.deadline = index, time.monotonic() + limit
        self.pipe.send(index)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run_all(tests: list[Test], jobs: int = 2, limit: float = 30, show: Any = None) -> list[Result]:
    """Runs tests in worker processes; one that dies or stalls is replaced."""
    context = multiprocessing.get_context("fork")
    todo = collections.deque(range(len(tests)))
    results: dict[int, Result] = {}
    workers = [_Worker(context, tests) for _ in range(min(jobs, len(tests)))]
    busy: list[_Worker] = []

    def start(worker: _Worker) -> None:
        if todo:
            worker.give(todo.popleft(), limit)
            busy.append(worker)
        else:
            worker.end()

    def replace(worker: _Worker, status: str, reason: str) -> None:
        test = tests[worker.index]
        results[worker.index] = Result(test.name, test.op, status, reason, limit)
        worker.end()
        if todo:
            start(_Worker(context, tests))

    for worker in workers:
        start(worker)
    while busy:
        ready = multiprocessing.connection.wait([w.pipe for w in busy], timeout=0.5)
        for worker in list(busy):
            index = worker.index
            if worker.pipe in ready:
                busy.remove(worker)
                try:
                    results[index] = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    replace(worker, "CRASHED", f"exit code {worker.process.exitcode}")
                else:
                    start(worker)
            elif time.monotonic() > worker.deadline:
                busy.remove(worker)
                replace(worker, "HUNG", f"no end after {limit:g} s")
            else:
                continue
            if show:
                show(results[index])
    return [results[i] for i in range(len(tests))]


def short_reason(reason: str) -> str:
    """The first line of a refusal, without the names of one test."""
    line = reason.strip().splitlines()[0] if reason.strip() else ""
    line = re.sub(r"^error: ", "", line)
    line = re.sub(r"; it depends on .*$", "", line)
    line = re.sub(r"^\S+ node(?: '[^']*')? \(opset \d+\): ", "", line)
    return re.sub(r"^(node|value) '[^']*': ", "", line).removeprefix("not supported: ").strip()


def type_of(reason: str) -> str:
    """The element type that a refusal is about, or an empty string."""
    import onnx

    if match := re.search(r"has element type (\w+)$", reason):
        return match[1]
    if match := re.search(r"ONNX data type (\d+)", reason):
        return onnx.TensorProto.DataType.Name(int(match[1]))
    return ""


def reasons_of(group: list[Result]) -> str:
    """Why tests of one operator did not pass; element types in one list."""
    reasons: dict[str, int] = collections.Counter()
    types: dict[str, int] = collections.Counter()
    for result in group:
        if result.status == "passed":
            continue
        reason = short_reason(result.reason)
        if result.status != "refused":
            reasons[f"{result.status}: {reason}"] += 1
        elif name := type_of(reason):
            types[name] += 1
        else:
            reasons[reason] += 1
    if types:
        reasons[f"element types {', '.join(sorted(types))}"] = sum(types.values())
    return "; ".join(
        f"{reason} ({n})" if n > 1 or len(reasons) > 1 else reason
        for reason, n in sorted(reasons.items(), key=lambda r: -r[1])
    ).replace("|", "\\|")


def table(results: list[Result], version: str) -> str:
    """The page of operators."""
    by_op: dict[str, list[Result]] = collections.defaultdict(list)
    for result in results:
        by_op[result.op].append(result)
    counts = collections.Counter(r.status for r in results)
    total = ", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])
    lines = [
        "# ONNX operators",
        "",
        "<!-- Made by scripts/onnx_node_tests.py --write; do not edit. -->",
        "",
        f"The node tests of the `onnx` package {version}, run through `lnnc.onnx_backend`: {total} "
        f"of {len(results)}. Tests of an operator's function body (`..._expanded`) count as its "
        "own. What is refused is refused by name with a reason, before anything runs. *const* "
        "counts the passed tests for which the backend made a small input (axes, sizes, pads) a "
        "constant, because the compiler needs it to be one. Beyond the test's own tolerance a "
        "result may differ by one unit in the last place of its largest element, since what is "
        "expected was rounded too.",
        "",
        "| operator | tests | passed | const | refused because |",
        "|---|---|---|---|---|",
    ]
    for op in sorted(by_op):
        group = by_op[op]
        passed = [r for r in group if r.status == "passed"]
        const = sum(bool(r.specialised) for r in passed)
        why = reasons_of(group)
        lines.append(f"| {op} | {len(group)} | {len(passed)} | {const or ''} | {why} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="a regular expression of test names")
    parser.add_argument("--op", default="", help="an operator's name")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=30, help="seconds a test")
    parser.add_argument("--write", help="the page to write")
    parser.add_argument("--cache", help="a file that keeps the generated tests")
    parser.add_argument("--verbose", action="store_true", help="print what did not pass")
    args = parser.parse_args()
    tests = [
        t
        for t in load_tests(args.cache)
        if re.search(args.filter, t.name) and args.op in ("", t.op)
    ]

    def show(result: Result) -> None:
        if result.status == "passed":
            return
        if args.verbose or result.status != "refused":
            print(f"{result.status} {result.name}: {result.reason.strip()}", flush=True)

    results = run_all(tests, args.jobs, args.limit, show)
    counts = collections.Counter(r.status for r in results)
    print(", ".join(f"{counts[s]} {s}" for s in STATUSES), f"of {len(results)}")
    times = sorted(r.seconds for r in results if r.status == "passed")
    if times:
        print(f"seconds a passed test: median {times[len(times) // 2]:.3f}, most {times[-1]:.3f}")
    if args.write:
        import onnx

        path = pathlib.Path(args.write)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(table(results, onnx.__version__))
    return 1 if any(counts[s] for s in ("FAILED", "CRASHED", "HUNG")) else 0


if __name__ == "__main__":
    sys.exit(main())
