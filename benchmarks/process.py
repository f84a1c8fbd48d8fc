"""Peers as processes: started, asked with a limit of time, stopped while another one is timed."""

import json
import os
import pathlib
import selectors
import signal
import subprocess
import time

import numpy as np

WORKER = pathlib.Path(__file__).resolve().parent / "worker.py"


class Refused(Exception):
    """A peer has no figure for a model; the message is why, in one line."""


class Worker:
    """A worker.py, which `ask` talks to. Between questions it is stopped, with its threads."""

    def __init__(self, command, environment, log):
        self.log = log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self.waiting = selectors.DefaultSelector()
        self.waiting.register(self.process.stdout, selectors.EVENT_READ)

    def ask(self, question, limit):
        """The answer to a line (none: what it says by itself) within that many seconds."""
        self.signal(signal.SIGCONT)
        if question:
            try:
                self.process.stdin.write(f"{question}\n".encode())
                self.process.stdin.flush()
            except BrokenPipeError:
                raise Refused(self.last_words()) from None
        answer = self.read_line(limit)
        if "refused" in answer:
            raise Refused(answer["refused"])
        self.signal(signal.SIGSTOP)
        return answer

    def read_line(self, limit):
        data, end = b"", time.monotonic() + limit
        while not data.endswith(b"\n"):
            if not self.waiting.select(max(0, end - time.monotonic())):
                raise Refused(f"no answer in {limit:.0f} s")
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                raise Refused(self.last_words())
            data += part
        return json.loads(data)

    def last_words(self):
        """How it ended, for one that ended by itself."""
        code = self.process.wait(10)
        said = [s.strip() for s in self.log.read_text(errors="replace").splitlines() if s.strip()]
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return f"{how}: {said[-1] if said else '(no message)'}"

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def end(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Timed:
    """A peer with a model: its outputs, then its times."""

    def __init__(self, peer, python, environment, model, threads, cores, folder, limit):
        self.peer, self.times, self.folder = peer, [], folder / f"{peer}-{threads}"
        self.folder.mkdir(exist_ok=True)
        self.limit, files = limit, {}
        for name in ("job.json", "inputs.npz", "outputs.npz", "times.npy", "log.txt"):
            files[name] = self.folder / name
        np.savez(files["inputs.npz"], **model.inputs)
        described = dict(name=model.name, path=str(model.path), steps=model.steps, form=model.form)
        described["settings"] = model.settings
        job = dict(model=described, threads=threads, cores=cores, folder=str(folder))
        job |= {key: str(files[f"{key}.npz"]) for key in ("inputs", "outputs")}
        files["job.json"].write_text(json.dumps(job))
        self.files = files
        self.worker = Worker(
            [python, WORKER, peer, files["job.json"]], environment, files["log.txt"]
        )
        try:
            self.figures = self.worker.ask("", limit)
        except Refused:
            self.worker.end()
            raise

    def outputs(self):
        with np.load(self.files["outputs.npz"]) as arrays:
            return [arrays[str(i)] for i in range(len(arrays.files))]

    def measure(self, seconds):
        self.worker.ask(f"time {seconds} {self.files['times.npy']}", self.limit)
        self.times.append(np.load(self.files["times.npy"]))

    def result(self):
        """Microseconds of all calls of all turns."""
        times = np.concatenate(self.times) / 1e3
        return {
            **self.figures,
            # On a machine that others use too, the turn in which it was quiet.
            "median_us": float(min(np.median(turn) for turn in self.times) / 1e3),
            "median_of_all_us": float(np.median(times)),
            "p99.9_us": float(np.quantile(times, 0.999)),
            "min_us": float(times.min()),
            "calls": len(times),
        }

    def end(self):
        self.worker.end()
