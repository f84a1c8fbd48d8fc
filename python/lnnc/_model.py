"""Compiled models and their sessions."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

import numpy as np

from . import _runtime
from ._errors import InputError, LoadError
from ._outputs import Outputs, make_type
from ._profile import Profile

PathLike = Union[str, "os.PathLike[str]"]


class TensorInfo(NamedTuple):
    """What a model says of one input or output."""

    name: str
    shape: tuple[int | str, ...]
    """Sizes; a string names a dynamic dimension, whose size is each call's. Equal names have equal
    sizes.
    """
    dtype: np.dtype
    """The NumPy type. bfloat16 is `ml_dtypes.bfloat16` where that package is installed, else
    uint16.
    """
    role: str
    """`input`, `dt` (time steps, in the model's unit of time), `state` or `output`."""
    pair: str | None
    """Of a state: the output that replaces it, or the input that it replaces."""


class ThreadPool:
    """Threads for models to share: `lnnc.load(path, threads=pool)`.

    Args:
        threads: how many compute, the caller's among them.

    They end with the pool and the last model that uses them. A call that finds them at work for
    another runs on its own thread alone.

    Raises:
        InputError: `threads` is no number from 1 to 1024.
    """

    __slots__ = ("_handle", "__weakref__")

    def __init__(self, threads: int) -> None:
        self._handle = _runtime.Pool(_threads(threads))

    @property
    def threads(self) -> int:
        """How many compute."""
        return self._handle.threads

    def __repr__(self) -> str:
        return f"lnnc.ThreadPool({self.threads})"


Threads = Union[int, ThreadPool]


class Model:
    """A compiled model: immutable, and safe to share between threads.

    Made by `lnnc.compile` and `lnnc.load`. Loading an artifact is running its code: load only what
    you trust.
    """

    __slots__ = ("_artifact", "_handle", "_call", "_inputs", "_outputs", "__weakref__")

    def __init__(self, artifact: bytes, name: str = "", threads: Threads = 1) -> None:
        """Loads an artifact from memory; `name` stands for it in messages; `threads` as for
        `lnnc.load`. Raises `LoadError`."""
        self._artifact = artifact
        self._handle = _runtime.Model(artifact, name)
        self._inputs = [TensorInfo(*info) for info in self._handle.inputs]
        self._outputs = [TensorInfo(*info) for info in self._handle.outputs]
        self._handle.set_outputs_type(make_type(info.name for info in self._outputs))
        self._call = self._handle.call
        if isinstance(threads, ThreadPool):
            self._handle.set_pool(threads._handle)
        elif _threads(threads) != 1:
            self._handle.set_threads(threads)

    def __call__(self, **inputs: np.ndarray) -> Outputs:
        """Runs the model once on arrays given by name.

        Args:
            inputs: an array per input, of its shape and dtype; any strides. Dtypes are not
                converted. NumPy's, or any object with `__dlpack__` whose memory is the CPU's, as a
                tensor of PyTorch; neither is copied.
            out: a dict of arrays by output name, to write results into instead of new arrays: of
                the output's shape and dtype, any strides; they are what is returned then. (A model
                that has an input called `out` takes such a dict in `run` only.)

        Returns:
            The outputs, by name (`out["y"]`), by position (`out[0]`) and unpacked (`y, hn = out`).

        Raises:
            InputError: an input is missing, unknown, or of the wrong shape or dtype, or a check of
                the model failed.
        """
        if "out" in inputs:
            return self._call(inputs, self._take_out(inputs))
        return self._call(inputs, None)

    def run(
        self, inputs: Mapping[str, np.ndarray], out: dict[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs the model once: arrays by name in, a dict of arrays by name out, in the model's
        order. `out` as in `__call__`.

        Raises:
            InputError: as `__call__` does.
        """
        return self._handle.run(inputs, out)

    def _take_out(self, inputs: dict[str, Any]) -> Any:
        """Takes `out` out of the arguments of a call, where no input is called so."""
        if any(info.name == "out" for info in self._inputs):
            return None
        return inputs.pop("out")

    def profile(
        self, inputs: Mapping[str, np.ndarray], *, calls: int = 100, svg: PathLike | None = None
    ) -> Profile:
        """Runs a model compiled with `profile=True`, and says what its time went into.

        Args:
            inputs: as `run` takes them.
            calls: how often it runs; figures are means.
            svg: a file to draw the profile to.

        Raises:
            InputError: the model was compiled without `profile=True`, or as `run` does.
        """
        calls = _integer(calls, "calls")
        if calls < 1:
            raise InputError(f"calls is at least 1, found {calls}")
        profile = Profile(*self._handle.profile(inputs, calls))
        if svg is not None:
            profile.save_svg(svg)
        return profile

    def session(
        self,
        batch: int | None = None,
        *,
        state: Mapping[str, np.ndarray] | None = None,
        **sizes: int,
    ) -> Session:
        """Starts a streaming session, which carries the states from step to step.

        Args:
            batch: the number of lanes: the size of the dimension called `batch`, or, where the
                model calls it
                otherwise or fixes it, of the states' first dimension.
            state: initial values of states by input name; the others start at zero.
            sizes: other dynamic dimensions of the states, by name.

        Raises:
            InputError: a size that the states need is missing, or does not fit the model.
        """
        if batch is not None:
            sizes["batch"] = batch
        named = [(name, _integer(size, f"size {name!r}")) for name, size in sizes.items()]
        session = Session(self, self._handle.session(named))
        if state is not None:
            session.state = {**session.state, **state}
        return session

    def get_inputs(self) -> list[TensorInfo]:
        """The inputs, in the model's order: name, shape, dtype, role."""
        return list(self._inputs)

    def get_outputs(self) -> list[TensorInfo]:
        """The outputs, in the model's order: name, shape, dtype, role."""
        return list(self._outputs)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._handle.name

    @property
    def target(self) -> str:
        """What it was compiled for: `cpu`."""
        return self._handle.target

    @property
    def cpu(self) -> str:
        """The processor it was compiled for, as LLVM names it."""
        return self._handle.cpu

    @property
    def threads(self) -> int:
        """How many threads compute a call at most."""
        return self._handle.threads

    @property
    def splits_batch(self) -> bool:
        """Whether threads can share a batch: the compiler has proven that its rows are
        independent. Batches below 16 are left to one thread, but for wide layers.
        """
        return self._handle.has_rows

    @property
    def states(self) -> dict[str, str]:
        """The state inputs, and the output that replaces each."""
        return {info.name: info.pair or "" for info in self._inputs if info.role == "state"}

    def save(self, path: PathLike) -> None:
        """Writes the artifact to a file, which `lnnc.load` and `lnn-run` read. Replaces the file at
        once or not at all.
        """
        path = os.fspath(path)
        partial = f"{path}.{os.getpid()}.partial"
        try:
            with open(partial, "wb") as file:
                file.write(self._artifact)
            os.replace(partial, path)
        except OSError:
            if os.path.exists(partial):
                os.unlink(partial)
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return Model, (self._artifact, self.name, self.threads)

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self

    def __repr__(self) -> str:
        inputs = ", ".join(map(_describe, self._inputs))
        outputs = ", ".join(map(_describe, self._outputs))
        return f"<lnnc.Model {self.name!r} for {self.target} {self.cpu}: {inputs} -> {outputs}>"


def _describe(info: TensorInfo) -> str:
    role = " (state)" if info.role == "state" else ""
    return f"{info.name}[{', '.join(map(str, info.shape))}] {info.dtype}{role}"


def _threads(value: Any) -> int:
    """A number of threads."""
    threads = _integer(value, "threads")
    if not 1 <= threads <= 1024:
        raise InputError(f"threads is from 1 to 1024, found {threads}")
    return threads


def _integer(value: Any, what: str) -> int:
    """The value as a C integer of 64 bits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{what} is not an integer: {value!r}") from None
    if not -(2**63) <= number < 2**63:
        raise InputError(f"{what} is out of range: {number}")
    return number


class Session:
    """A stream: states that are carried from step to step. Made by `Model.session`; belongs to one
    thread at a time.
    """

    __slots__ = ("_model", "_handle", "_step", "__weakref__")

    def __init__(self, model: Model, handle: _runtime.Session) -> None:
        self._model = model
        self._handle = handle
        self._step = handle.step

    @property
    def model(self) -> Model:
        """The model that it runs."""
        return self._model

    def step(self, **inputs: np.ndarray) -> Outputs:
        """Runs the model on the next inputs (any number of time steps that it accepts) and carries
        the states.

        Args:
            inputs: an array per input that is not a state.
            out: arrays to write results into, as in `Model.__call__`.

        Returns:
            All outputs, the new states among them. If it raises, the states are as before the call.

        Raises:
            InputError: as `Model.__call__` does, or the inputs do not fit the session's batch.
        """
        if "out" in inputs:
            return self._step(inputs, self._model._take_out(inputs))
        return self._step(inputs, None)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The states by input name: copies, which later steps leave alone. Assign such a dict to go
        back to it.
        """
        return self._handle.get_state()

    @state.setter
    def state(self, values: Mapping[str, np.ndarray]) -> None:
        names = self._model.states
        if set(values) != set(names):
            given, own = ", ".join(map(str, values)) or "none", ", ".join(names) or "none"
            raise InputError(f"the session's states are {own}; given: {given}")
        self._handle.set_state(dict(values))

    def reset(self, lanes: Iterable[int] | None = None) -> None:
        """Sets the states to zero: all, or those of some lanes (indices into the batch).

        Raises:
            InputError: there is no such lane.
        """
        chosen = None if lanes is None else [_integer(lane, "a lane") for lane in lanes]
        self._handle.reset(chosen)

    def fork(self) -> Session:
        """A new session that starts from this one's states and goes its own way."""
        return Session(self._model, self._handle.fork())

    def __copy__(self) -> Session:
        return self.fork()

    def __deepcopy__(self, memo: dict[int, Any]) -> Session:
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a session does not pickle: pickle its model and its state")

    def __repr__(self) -> str:
        states = ", ".join(f"{k}{list(v.shape)}" for k, v in self.state.items()) or "no states"
        return f"<lnnc.Session of {self._model.name!r}: {states}>"


def load(path: PathLike, *, threads: Threads = 1) -> Model:
    """Loads an artifact that `Model.save` or the `lnnc` tool wrote.

    Loading an artifact is running its code: load only what you trust.

    Args:
        path: the file.
        threads: how many threads compute a call, where rows of its batch are independent
            (`Model.splits_batch`) or its layers are wide, or a `ThreadPool` that several models
            share. The results are the same bits for any number. None is started for 1.

    Raises:
        LoadError: the file cannot be read, is no artifact, is damaged, is from a newer version, or
            needs a CPU
            feature that this machine lacks.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            artifact = file.read()
    except OSError as error:
        raise LoadError(f"cannot read {path}: {error.strerror}") from error
    return Model(artifact, path, threads)
