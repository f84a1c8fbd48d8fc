"""The standard ONNX backend interface (`onnx.backend.base`) over compiled models.

    rep = lnnc.onnx_backend.prepare(model)     # an onnx.ModelProto
    y, = rep.run([x])                          # inputs in the graph's order, or a dict by name

Needs the `onnx` package, which the rest of lnnc does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.backend.base import Backend, BackendRep

from ._compile import compile
from ._errors import InputError, UnsupportedError
from ._model import Model

_MAX_SPECIALISED = 64
"""Compiled variants that one model keeps, and elements of an input that is made a constant."""


class LnnBackendRep(BackendRep):
    """A compiled model.

    ONNX passes what decides shapes (axes, sizes, pads ...) as tensors. Where the compiler needs
    such an input to be a constant, the model is compiled when it is run, once per value of its
    small inputs; `specialised` names those.
    """

    def __init__(self, model: onnx.ModelProto, **options: Any) -> None:
        self._model, self._options = model, options
        given = {init.name for init in model.graph.initializer}
        self._inputs = [i for i in model.graph.input if i.name not in given]
        self._variants: dict[tuple[Any, ...], Model] = {}
        self._compiled: Model | None = None
        self._refusal: UnsupportedError | None = None
        self.specialised: tuple[str, ...] = ()
        try:
            self._compiled = compile(model, **options)
        except UnsupportedError as error:
            if not _wants_constant(error) or not any(map(_may_be_constant, self._inputs)):
                raise
            self._refusal = error

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs the model on inputs by position or by name; returns the outputs in order.

        Raises:
            InputError: an input is missing or does not fit.
            UnsupportedError: the model needs constants where it has inputs.
        """
        feeds = self._feeds(inputs)
        model = self._compiled or self._specialise(feeds)
        names = {info.name for info in model.get_inputs()}
        return tuple(model.run({k: v for k, v in feeds.items() if k in names}).values())

    def _feeds(self, inputs: Any) -> dict[str, np.ndarray]:
        names = [info.name for info in self._inputs]
        if isinstance(inputs, Mapping):
            return {name: np.asarray(value) for name, value in inputs.items()}
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if len(inputs) != len(names):
            raise InputError(f"{len(names)} inputs were expected, {len(inputs)} are given")
        return {name: np.asarray(value) for name, value in zip(names, inputs)}

    def _specialise(self, feeds: Mapping[str, np.ndarray]) -> Model:
        """The model with its small inputs as constants: integers first, then floats too."""
        error = self._refusal
        for kinds in ("iub", "iubf"):
            chosen = [i.name for i in self._inputs if _is_small(i, feeds.get(i.name), kinds)]
            key = tuple((n, feeds[n].dtype.str, feeds[n].shape, feeds[n].tobytes()) for n in chosen)
            if key not in self._variants:
                try:
                    variant = compile(_with_constants(self._model, feeds, chosen), **self._options)
                except UnsupportedError as refused:
                    error = refused
                    continue
                if len(self._variants) >= _MAX_SPECIALISED:
                    self._variants.clear()
                self._variants[key] = variant
            self.specialised = tuple(chosen)
            return self._variants[key]
        assert error is not None
        raise error


class LnnBackend(Backend):
    """`onnx.backend.base.Backend` for the CPU."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """True where `prepare` takes the model."""
        try:
            cls.prepare(model, device, **kwargs)
        except UnsupportedError:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> LnnBackendRep:
        """Compiles a model. Keyword arguments are `lnnc.compile`'s.

        Raises:
            UnsupportedError: the model uses something that is not supported, or the device is not.
            CompileError: the model is damaged or inconsistent.
        """
        if not cls.supports_device(device):
            raise UnsupportedError(f"device {device!r} is not supported; there is: 'CPU'")
        return LnnBackendRep(model, **kwargs)

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Any, ...]:
        """Compiles and runs a model once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Compiles and runs one node; `opset_version` chooses its opset, by default the newest."""
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in dict.fromkeys(node.input) if name]
        arrays = [np.asarray(value) for value in inputs]
        infos = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in zip(names, arrays)
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "node", infos, outputs)
        opsets = [helper.make_opsetid(node.domain, opset)]
        model = helper.make_model(graph, opset_imports=opsets)
        return cls.run_model(model, arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """True for `CPU`, and `CPU:0`."""
        return device.upper() in ("CPU", "CPU:0")


def _wants_constant(error: UnsupportedError) -> bool:
    text = str(error)
    return "must be constant" in text or "must be known" in text or "must be a constant" in text


def _may_be_constant(info: onnx.ValueInfoProto) -> bool:
    return info.type.HasField("tensor_type")


def _is_small(info: onnx.ValueInfoProto, value: np.ndarray | None, kinds: str) -> bool:
    if value is None or not _may_be_constant(info):
        return False
    kind = "f" if value.dtype.name == "bfloat16" else value.dtype.kind
    return kind in kinds and value.size <= _MAX_SPECIALISED


def _with_constants(
    model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], chosen: Sequence[str]
) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [i for i in copy.graph.input if i.name not in chosen]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    copy.graph.initializer.extend(numpy_helper.from_array(feeds[n], n) for n in chosen)
    return copy


is_compatible = LnnBackend.is_compatible
prepare = LnnBackend.prepare
run_model = LnnBackend.run_model
run_node = LnnBackend.run_node
supports_device = LnnBackend.supports_device
