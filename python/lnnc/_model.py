"""Compiled models and their sessions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

import numpy as np

from . import _runtime
from ._errors import InputError, LoadError
from ._outputs import Outputs, make_type

PathLike = Union[str, "os.PathLike[str]"]


class TensorInfo(NamedTuple):
    """What a model says of one input or output."""

    name: str
    shape: tuple[int | str, ...]
    """Sizes; a string names a dynamic dimension, whose size is each call's. Equal names have equal sizes."""
    dtype: np.dtype
    """The NumPy type. bfloat16 is `ml_dtypes.bfloat16` where that package is installed, else uint16."""
    role: str
    """`input`, `dt` (time steps, in the model's unit of time), `state` or `output`."""
    pair: str | None
    """Of a state: the output that replaces it, or the input that it replaces."""


class Model:
    """A compiled model: immutable, and safe to share between threads.

    Made by `lnnc.compile` and `lnnc.load`. Loading an artifact is running its code: load only what you trust.
    """

    __slots__ = ("_artifact", "_handle", "_call", "_inputs", "_outputs", "__weakref__")

    def __init__(self, artifact: bytes, name: str = "") -> None:
        """Loads an artifact from memory; `name` stands for it in messages. Raises `LoadError`."""
        self._artifact = artifact
        self._handle = _runtime.Model(artifact, name)
        self._inputs = [TensorInfo(*info) for info in self._handle.inputs]
        self._outputs = [TensorInfo(*info) for info in self._handle.outputs]
        self._handle.set_outputs_type(make_type(info.name for info in self._outputs))
        self._call = self._handle.call

    def __call__(self, **inputs: np.ndarray) -> Outputs:
        """Runs the model once on arrays given by name.

        Args:
            inputs: an array per input, of its shape and dtype; any strides. Dtypes are not converted.

        Returns:
            The outputs, by name (`out["y"]`), by position (`out[0]`) and unpacked (`y, hn = out`).

        Raises:
            InputError: an input is missing, unknown, or of the wrong shape or dtype, or a check of the model failed.
        """
        return self._call(inputs)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model once: arrays by name in, a dict of arrays by name out, in the model's order.

        Raises:
            InputError: as `__call__` does.
        """
        return self._handle.run(inputs)

    def session(
        self,
        batch: int | None = None,
        *,
        state: Mapping[str, np.ndarray] | None = None,
        **sizes: int,
    ) -> Session:
        """Starts a streaming session, which carries the states from step to step.

        Args:
            batch: the number of lanes: the size of the dimension called `batch`, or, where the model calls it
                otherwise or fixes it, of the states' first dimension.
            state: initial values of states by input name; the others start at zero.
            sizes: other dynamic dimensions of the states, by name.

        Raises:
            InputError: a size that the states need is missing, or does not fit the model.
        """
        dims = self._state_dims(batch, sizes)
        session = Session(self, self._handle.session(dims))
        if state is not None:
            session.state = {**session.state, **state}
        return session

    def _state_dims(self, batch: int | None, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes of dynamic dimensions that a session starts with: what the caller calls batch may be fixed."""
        symbols = {d for info in self._inputs for d in info.shape if isinstance(d, str)}
        dims = dict(sizes)
        for name in dims:
            if name not in symbols:
                known = ", ".join(sorted(symbols)) or "none"
                raise InputError(f"the model has no dynamic dimension {name!r}; there are: {known}")
        states = [info for info in self._inputs if info.role == "state"]
        if batch is not None:
            _bind_batch(batch, symbols, states, dims)
        for name, size in dims.items():
            if isinstance(size, bool) or not hasattr(size, "__index__") or size.__index__() < 0:
                raise InputError(
                    f"dimension {name!r}: a size must be a non-negative integer, not {size!r}"
                )
        needed = [d for info in states for d in info.shape if isinstance(d, str)]
        missing = list(dict.fromkeys(d for d in needed if d not in dims))
        if missing:
            how = ", ".join(f"{d}=..." for d in missing)
            raise InputError(
                f"a session of this model needs the size of {', '.join(missing)}: session({how})"
            )
        return {name: size.__index__() for name, size in dims.items()}

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
    def states(self) -> dict[str, str]:
        """The state inputs, and the output that replaces each."""
        return {info.name: info.pair or "" for info in self._inputs if info.role == "state"}

    def save(self, path: PathLike) -> None:
        """Writes the artifact to a file, which `lnnc.load` and `lnn-run` read. Replaces the file at once or not at all."""
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
        return Model, (self._artifact, self.name)

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


def _bind_batch(
    batch: int, symbols: set[str], states: list[TensorInfo], dims: dict[str, int]
) -> None:
    """Says which dimension `batch` is: the one of that name, the one the states lead with, or one that is fixed."""
    if "batch" in symbols:
        dims["batch"] = batch
        return
    named = list(dict.fromkeys(d for info in states for d in info.shape if isinstance(d, str)))
    if len(named) == 1:
        dims.setdefault(named[0], batch)
        return
    for info in states:
        if not named and info.shape and batch not in info.shape[:-1]:
            raise InputError(f"batch {batch} does not fit: the model fixes state {_describe(info)}")
    if named:
        how = ", ".join(f"{d}=..." for d in named)
        raise InputError(f"the model has no dimension called 'batch'; give its own: session({how})")


class Session:
    """A stream: states that are carried from step to step. Made by `Model.session`; belongs to one thread at a time."""

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
        """Runs the model on the next inputs (any number of time steps that it accepts) and carries the states.

        Args:
            inputs: an array per input that is not a state.

        Returns:
            All outputs, the new states among them. If it raises, the states are as before the call.

        Raises:
            InputError: as `Model.__call__` does, or the inputs do not fit the session's batch.
        """
        return self._step(inputs)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The states by input name: copies, which later steps leave alone. Assign such a dict to go back to it."""
        return {name: array.copy() for name, array in self._handle.arrays().items()}

    @state.setter
    def state(self, values: Mapping[str, np.ndarray]) -> None:
        own = self._handle.arrays()
        if set(values) != set(own):
            given, names = ", ".join(map(str, values)) or "none", ", ".join(own) or "none"
            raise InputError(f"the session's states are {names}; given: {given}")
        for name, array in own.items():
            value = np.asanyarray(values[name])
            if value.dtype != array.dtype or value.shape != array.shape:
                raise InputError(
                    f"state {name!r} is {array.dtype} of shape {array.shape}, "
                    f"not {value.dtype} of shape {value.shape}"
                )
        for name, array in own.items():
            array[...] = values[name]

    def reset(self, lanes: Iterable[int] | None = None) -> None:
        """Sets the states to zero: all of them, or those of the given lanes (indices into the batch).

        Raises:
            InputError: there is no such lane.
        """
        arrays = self._handle.arrays()
        if lanes is None:
            for array in arrays.values():
                array[...] = 0
            return
        chosen = [_lane(lane) for lane in lanes]
        axes = {name: _lane_axis(self._model, name) for name in arrays}
        for name, array in arrays.items():
            for lane in chosen:
                if not 0 <= lane < array.shape[axes[name]]:
                    raise InputError(f"no lane {lane}: the session has {array.shape[axes[name]]}")
        for name, array in arrays.items():
            array[(slice(None),) * axes[name] + (chosen,)] = 0

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


def _lane_axis(model: Model, name: str) -> int:
    """Which dimension of a state counts lanes: `batch`, else the first dynamic one, else the first."""
    shape = next(info.shape for info in model.get_inputs() if info.name == name)
    if not shape:
        raise InputError(f"state {name!r} has no lanes: it is one number")
    if "batch" in shape:
        return shape.index("batch")
    return next((i for i, d in enumerate(shape) if isinstance(d, str)), 0)


def _lane(lane: Any) -> int:
    try:
        return lane.__index__()
    except AttributeError:
        raise InputError(f"a lane is an integer, not {lane!r}") from None


def load(path: PathLike) -> Model:
    """Loads an artifact that `Model.save` or the `lnnc` tool wrote.

    Loading an artifact is running its code: load only what you trust.

    Raises:
        LoadError: the file cannot be read, is no artifact, is damaged, is from a newer version, or needs a CPU
            feature that this machine lacks.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            artifact = file.read()
    except OSError as error:
        raise LoadError(f"cannot read {path}: {error.strerror}") from error
    return Model(artifact, path)
