"""One peer with one model, in a process of its own, told by lines on its standard input what to do.

    worker.py PEER MODEL.json

`time SECONDS FILE` calls it for that long and writes the nanoseconds of each call to a .npy file;
`quit` ends it. Every answer is one line of JSON on what was standard output at the start; what the
peer itself prints goes to standard error.
"""

import gc
import importlib
import json
import os
import pathlib
import sys
import time


def measure(call, seconds):
    """Nanoseconds of each call, at least three of them, behind some to warm up."""
    begin = time.perf_counter_ns()
    while time.perf_counter_ns() < begin + seconds * 1e8:
        call()
    found, clock = [], time.perf_counter_ns
    gc.disable()
    end = clock() + int(seconds * 1e9)
    now = clock()
    while now < end or len(found) < 3:
        call()
        after = clock()
        found.append(after - now)
        now = after
    gc.enable()
    return found


def start(peer, job):
    """Imports and prepares the peer, runs it once and writes its outputs."""
    import numpy as np
    from models import Model

    arrays = dict(np.load(job["inputs"]))
    model = Model(**job["model"], inputs=arrays)
    model.path, model.folder = pathlib.Path(model.path), pathlib.Path(job["folder"])
    begin = time.perf_counter()
    module = importlib.import_module(f"peers.{peer}")
    imported = time.perf_counter()
    try:
        call, collect = module.prepare(model, arrays, job["threads"])
        outputs = collect(call())
    except Exception:
        # A few models have sizes that contradict each other in branches that are not taken.
        if not model.was_fixed:
            raise
        model.may_fix = False
        call, collect = module.prepare(model, arrays, job["threads"])
        outputs = collect(call())
    prepared = time.perf_counter()
    np.savez(job["outputs"], **{str(i): value for i, value in enumerate(outputs)})
    return call, {"import_s": imported - begin, "prepare_s": prepared - imported}


def reason(error):
    """What an exception says, without lines that say only where it was thrown."""
    said = [
        s for s in map(str.strip, str(error).splitlines()) if not s.startswith("Exception from")
    ]
    kind = "" if isinstance(error, NotImplementedError) else f"{type(error).__name__}: "
    return kind + (" ".join(said).strip() or "(no message)")


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer, job = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
    os.sched_setaffinity(0, job["cores"])

    def answer(**values):
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        call, figures = start(peer, job)
    except Exception as error:  # whatever a peer has against a model is its line in the report
        return answer(refused=reason(error))
    answer(**figures)
    import numpy as np

    for line in sys.stdin:
        what, *rest = line.split()
        if what != "time":
            break
        np.save(rest[1], np.array(measure(call, float(rest[0])), "i8"))
        answer(done=True)


if __name__ == "__main__":
    main()
