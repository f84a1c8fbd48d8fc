#!/usr/bin/env python3
"""Compiled models beside other engines: same model, same inputs, same outputs, microseconds a call.

    benchmarks/compare.py                          all models, all peers, one thread
    benchmarks/compare.py --models zoo 'ltc*' --peers jax onnxruntime --threads 1 2
    benchmarks/compare.py --json F.json --svg F.svg --markdown F.md
    benchmarks/compare.py --list

Every peer is a process of its own, kept on as many cores as it may use threads. They take turns;
all others are stopped meanwhile. Outputs must agree with the compiled model's before anything is
timed. A peer that refuses a model, takes too long or is not installed is listed with its reason.

All are called from Python: lnnc from NumPy arrays to NumPy arrays, the others with the cheapest
call that they have, arguments on the device beforehand where there is such a thing, and sizes that
vary fixed beforehand where that makes them faster. The median is that of the turn in which it was
least, as on a machine that others use too; p99.9 is of all calls. requirements.txt says how to
install the peers.
"""

import argparse
import datetime
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
try:
    import models
    import numpy as np
    import report
    from peers import PEERS
    from process import Refused, Timed
except ImportError as missing:
    sys.exit(f"{missing}; install what benchmarks/requirements.txt lists, as its first lines say")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--models", nargs="+", default=[], metavar="NAME", help="groups, names, patterns, files")
    add("--peers", nargs="+", default=list(PEERS), choices=list(PEERS), metavar="NAME")
    add("--threads", nargs="+", type=int, default=[1], metavar="N")
    add("--repeats", type=int, default=5, help="turns of each peer (5)")
    add("--seconds", type=float, default=0.2, help="each turn's length (0.2)")
    add("--limit", type=float, default=120, help="seconds a peer may take to get ready (120)")
    add("--tolerance", type=float, default=1e-4, help="|error| / max(1, |value|) allowed (1e-4)")
    add("--cores", nargs="+", type=int, help="cores to use, at least as many as threads")
    add("--python", nargs="+", default=[], metavar="[PEER=]EXE", help="who runs a peer, or all")
    add("--json", type=pathlib.Path, help="write all figures to this file")
    add("--update", action="store_true", help="replace rows in the file of --json, keep others")
    add("--svg", type=pathlib.Path, help="draw them to this file")
    add("--markdown", type=pathlib.Path, help="write the tables to this file")
    add("--list", action="store_true", help="say which models and peers there are, and end")
    options = parser.parse_args()
    if min(options.threads) < 1 or options.repeats < 1 or not 0 < options.seconds < 60:
        parser.error("--threads and --repeats are at least 1, --seconds is above 0")
    available = sorted(os.sched_getaffinity(0), reverse=True)
    options.cores = options.cores or available
    if max(options.threads) > len(options.cores):
        parser.error(
            f"{max(options.threads)} threads need as many cores: {len(options.cores)} given"
        )
    return parser, options


# --- Peers -----------------------------------------------------------------------------------

PROBE = """
import importlib, importlib.metadata, sys
module, package = sys.argv[1:]
try:
    version = importlib.metadata.version(package)
    assert importlib.util.find_spec(module)
except importlib.metadata.PackageNotFoundError:
    version = importlib.import_module(module).__version__
print(version)
"""


def environment(peer):
    """Of a peer's process; lnnc is the one built here, where one is."""
    values = dict(os.environ, PYTHONNOUSERSITE="1")
    built = ROOT / "build" / "python"
    if peer == "lnnc" and "PYTHONPATH" not in values and (built / "lnnc").exists():
        values["PYTHONPATH"] = str(built)
    return values


def find_pythons(options):
    """Of each peer the first interpreter that has it, with its version; None where none has."""
    given = dict(text.split("=", 1) for text in options.python if "=" in text)
    usual = [text for text in options.python if "=" not in text]
    usual += [sys.executable, HERE / ".venv" / "bin" / "python", ROOT / ".venv" / "bin" / "python"]
    found = {}
    for peer in options.peers:
        candidates = [given[peer]] if peer in given else usual
        found[peer] = None
        for python in filter(os.path.exists, candidates):
            command = [python, "-c", PROBE, *PEERS[peer]]
            done = subprocess.run(
                command, capture_output=True, text=True, cwd="/", env=environment(peer)
            )
            if not done.returncode:
                found[peer] = str(python), done.stdout.strip()
                break
    return found


# --- One model -------------------------------------------------------------------------------


def error_of(found, wanted):
    """The largest |error| / max(1, |value|); infinite where shapes differ or a number is none."""
    worst = 0.0
    if len(found) != len(wanted):
        return float("inf")
    for a, b in zip(found, wanted):
        if a.shape != b.shape:
            return float("inf")
        a, b = a.astype("f8"), b.astype("f8")
        if not np.isfinite(a[np.isfinite(b)]).all():
            return float("inf")
        errors = np.abs(a - b) / np.maximum(1, np.abs(b))
        worst = max(worst, float(np.max(errors, initial=0, where=np.isfinite(b))))
    return worst


class Comparison:
    """A model, a number of threads and all peers."""

    def __init__(self, model, threads, pythons, options, folder):
        self.model, self.threads, self.pythons = model, threads, pythons
        self.options, self.folder = options, folder
        self.results, self.ready, self.wanted = {}, [], None

    def start(self, peer):
        if not self.pythons[peer]:
            raise Refused("not installed")
        timed = Timed(
            peer,
            self.pythons[peer][0],
            environment(peer),
            self.model,
            self.threads,
            self.options.cores[: self.threads],
            self.folder,
            self.options.limit,
        )
        self.ready.append(timed)
        outputs = timed.outputs()
        if self.wanted is None:
            self.wanted = outputs
        timed.figures["error"] = error_of(outputs, self.wanted)
        if timed.figures["error"] > self.options.tolerance:
            self.drop(timed)
            raise Refused(
                f"its outputs differ from {self.ready[0].peer}'s by {timed.figures['error']:.1g}"
            )

    def drop(self, timed):
        timed.end()
        self.ready.remove(timed)

    def refuse(self, peer, why):
        said = str(why).replace(f"{self.folder}/", "")
        if self.pythons[peer]:
            said = said.replace(f"{pathlib.Path(self.pythons[peer][0]).parent.parent}/", "")
        said = " ".join(said.split())
        self.results[peer] = {"refused": said if len(said) <= 160 else f"{said[:160]}..."}

    def run(self):
        for peer in self.options.peers:
            try:
                self.start(peer)
            except Refused as why:
                self.refuse(peer, why)
        for _ in range(self.options.repeats):
            for timed in list(self.ready):
                try:
                    timed.measure(self.options.seconds)
                except Refused as why:
                    self.refuse(timed.peer, why)
                    self.drop(timed)
        for timed in self.ready:
            self.results[timed.peer] = timed.result()
        return {peer: self.results[peer] for peer in self.options.peers}

    def end(self):
        for timed in self.ready:
            timed.end()


def machine():
    cpu = platform.processor()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return {"cpu": cpu, "cores": os.cpu_count(), "system": platform.platform()}


def run(options, pythons, folder):
    """A row for each model and number of threads; lines of progress on standard error."""
    for name in models.choose(options.models):
        for threads in options.threads:
            row = {"model": pathlib.Path(name).stem, "threads": threads}
            own = folder / row["model"]
            own.mkdir(exist_ok=True)
            comparison = None
            try:
                model = models.load(name, own)
                row["steps"] = model.steps
                comparison = Comparison(model, threads, pythons, options, own)
                row["peers"] = comparison.run()
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as why:
                row["peers"] = {peer: {"refused": str(why)} for peer in options.peers}
            finally:
                if comparison:
                    comparison.end()
            row["load"] = os.getloadavg()[0]
            print(report.line(row), file=sys.stderr, flush=True)
            yield row


def main():
    parser, options = arguments()
    try:
        models.choose(options.models)
    except ValueError as error:
        parser.error(str(error))
    pythons = find_pythons(options)
    if options.list:
        for group, names in models.available().items():
            print(f"{group}: {' '.join(names)}")
        for peer, python in pythons.items():
            print(f"{peer}: {' '.join(python) if python else 'not installed'}")
        return 0
    # Who runs a peer is this machine's matter.
    words = [word for word in sys.argv[1:] if word != "--python" and word not in options.python]
    figures = {
        "date": datetime.date.today().isoformat(),
        "command": " ".join(["benchmarks/compare.py", *words]),
        "machine": machine(),
        "versions": {peer: python[1] for peer, python in pythons.items() if python},
        "tolerance": options.tolerance,
        "rows": [],
    }
    if options.update and options.json and options.json.exists():
        before = report.read_json(options.json)
        figures["rows"] = before["rows"]
        figures["versions"] = {**before["versions"], **figures["versions"]}
        figures["command"] = f"{before['command']}; {figures['command']}"
    with tempfile.TemporaryDirectory(prefix="lnn-compare-") as folder:
        for row in run(options, pythons, pathlib.Path(folder)):
            report.put(row, figures["rows"])
            if options.json:  # also what there is of a run that is cut off
                report.write_json(figures, options.json)
    report.show(figures)
    if options.svg:
        report.draw(figures, options.svg)
    if options.markdown:
        options.markdown.write_text(report.markdown(figures))
    own = options.peers[0]
    return int(any("refused" in row["peers"][own] for row in figures["rows"]))


if __name__ == "__main__":
    sys.exit(main())
