"""ONNX Runtime's interface over compiled models, so that trying lnnc is a change of one line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._compile import Source, compile
from ._errors import InputError
from ._model import Model, TensorInfo, load

_ELF = b"\x7fELF"

_ONNX_TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "bool": "bool",
}


class NodeArg(NamedTuple):
    """An input or output as ONNX Runtime describes it."""

    name: str
    type: str
    """`tensor(float)` and so on."""
    shape: list[int | str]


class InferenceSession:
    """`onnxruntime.InferenceSession` on a compiled model; like it, it keeps no state between runs.

    Args:
        path_or_bytes: an ONNX model or an artifact, as a path or bytes.
        sess_options: `intra_op_num_threads` is used, as `lnnc.load` takes `threads`; where it is
            0 or none is given, calls run on one thread.
        providers, provider_options: accepted and not used.

    Raises:
        CompileError, LoadError: as `lnnc.compile` and `lnnc.load` do.
    """

    def __init__(
        self,
        path_or_bytes: Source,
        sess_options: Any = None,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        threads = getattr(sess_options, "intra_op_num_threads", 0) or 1
        self._model = _load_or_compile(path_or_bytes, threads)
        self._names = [info.name for info in self._model.get_outputs()]

    @property
    def model(self) -> Model:
        """The model it runs: `sess.model.session(...)` streams."""
        return self._model

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, np.ndarray],
        run_options: Any = None,
    ) -> list[np.ndarray]:
        """The named outputs (all of them, in order, for None) for the inputs given by name.

        Raises:
            InputError: as `Model.run` does, or there is no such output.
        """
        if output_names:
            for name in output_names:
                if name not in self._names:
                    raise InputError(f"no output {name!r}; there are: {', '.join(self._names)}")
        outputs = self._model.run(input_feed)
        return [outputs[name] for name in output_names or self._names]

    def get_inputs(self) -> list[NodeArg]:
        """The inputs: name, type, shape."""
        return [_node_arg(info) for info in self._model.get_inputs()]

    def get_outputs(self) -> list[NodeArg]:
        """The outputs: name, type, shape."""
        return [_node_arg(info) for info in self._model.get_outputs()]

    def get_providers(self) -> list[str]:
        """What runs the model, under ONNX Runtime's name for it."""
        return ["CPUExecutionProvider"]

    def __repr__(self) -> str:
        return f"<lnnc.InferenceSession of {self._model!r}>"


def _load_or_compile(source: Source, threads: int) -> Model:
    if isinstance(source, (str, os.PathLike)):
        try:
            with open(source, "rb") as file:
                start = file.read(len(_ELF))
        except (OSError, ValueError):
            return compile(source, threads=threads)
        make = load if start == _ELF else compile
        return make(source, threads=threads)
    if isinstance(source, (bytes, bytearray, memoryview)) and bytes(source[: len(_ELF)]) == _ELF:
        return Model(bytes(source), threads=threads)
    return compile(source, threads=threads)


def _node_arg(info: TensorInfo) -> NodeArg:
    type_name = _ONNX_TYPES.get(info.dtype.name, info.dtype.name)
    return NodeArg(info.name, f"tensor({type_name})", list(info.shape))
