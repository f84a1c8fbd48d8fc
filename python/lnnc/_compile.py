"""From a model to a `Model`: the compiler's front door."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Union

import numpy as np

from ._errors import CompileError, CompileWarning, InputError, UnsupportedError
from ._model import Model, ThreadPool, Threads, _integer, _threads

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Any]


def compile(
    model: Source,
    *,
    target: str = "cpu",
    states: Mapping[str, str] | None = None,
    name: str | None = None,
    cpu: str | None = None,
    features: str | Iterable[str] | None = None,
    base_dir: str | os.PathLike[str] | None = None,
    reroll: bool = True,
    raise_cells: bool = True,
    fold_feedback: bool = True,
    weights: str = "f32",
    products: str = "f32",
    math: str = "accurate",
    sizes: Mapping[str, int] | None = None,
    freeze: Mapping[str, Any] | None = None,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    streaming: bool = False,
    profile: bool = False,
    threads: Threads = 1,
) -> Model:
    """Compiles a model to native code.

    Args:
        model: a path to an `.onnx` or `.mlir` file, the bytes of one, an `onnx.ModelProto`, or
            `.mlir` text.
        target: what to compile for: `cpu`.
        states: pairs of a state input and the output that replaces it, where their names do not say
            it.
        name: the model's name; by default the file's, without its suffix.
        cpu: the processor, as LLVM names it; by default this machine's. `x86-64-v3` runs on most;
            `"x86-64-v3,x86-64-v4"` is a version for each, the best of which is chosen at load.
        features: CPU features to add or leave out, as LLVM writes them: `"+avx2,-avx512f"` or a
            list of such.
        base_dir: the folder of external tensor data, for models that are not read from a file.
        reroll: turn what the exporter unrolled, time or solver steps, back into loops. It
            changes no result; compile time and size then don't depend on how many there are.
        raise_cells: turn formulas that are a known cell's equations into the cell, whose code is
            faster. Results differ by rounding.
        fold_feedback: compose a cell's constant linear feedback into its recurrent matrix, which
            is the same in real arithmetic.
        weights: how constant matrices are stored: `"f32"`, `"bf16"` or `"int8"` (with a scale for
            each output). What multiplies them, and sums, are of float32. A product with a few rows
            takes as long as its weights take to arrive, so that half the bytes are up to twice the
            speed; results differ by as much as the weights do (bf16: 0.4 %, int8: 0.4 % of the
            largest weight of an output).
        products: what products with constant matrices multiply: `"f32"`, or `"bf16"`, where what
            multiplies the weights is rounded too, and the processor's instructions for that (AMX,
            AVX512-BF16) are used. Sums are of float32.
        math: elementary functions: `"accurate"`, to within 2 units in the last place, or `"fast"`,
            to within 1e-4.
        sizes: values for dynamic sizes of the inputs, by name: `{"batch": 1}`. Code for known sizes
            is faster, and models that decide by a size what to compute may need it.
        freeze: values that inputs always have, by name: `{"sr": 16000}`. They are inputs no longer,
            what depends on them alone is computed now, and an If on them is the branch that is
            taken. One number is for all elements; an array has the input's shape.
        dynamic: sizes that the export fixed and that are to vary, by input and axis:
            `{"x": {1: "time"}}`. Axes named alike have one size. Where a node of the model fixes
            such a size, the error names it.
        streaming: make recurrent states that start from zeros inside of the model (a GRU without
            `initial_h`, a causal convolution's padding) states of a session, so that a model
            exported for whole sequences is stepped through one in pieces of any length.
        profile: make the model measure its regions, for `Model.profile`. It runs slower, and on one
            thread.
        threads: how many threads compute a call, as `lnnc.load` takes it. The artifact does not
            depend on it.

    Raises:
        UnsupportedError: the model uses something that is not supported; the message lists all of
            it.
        CompileError: the model is damaged or inconsistent.
        InputError: an argument is wrong, or the file cannot be read.
    """
    if not isinstance(threads, ThreadPool):
        threads = _threads(threads)
    source = _source(model)
    kind, diagnostics, artifact = _compiler().compile(
        source,
        target=target,
        cpu=cpu or "native",
        features=_features(features),
        name=name or "",
        base_dir=os.fspath(base_dir) if base_dir is not None else "",
        states=_states(states),
        emit="so",
        reroll=bool(reroll),
        raise_cells=bool(raise_cells),
        fold_feedback=bool(fold_feedback),
        weights=str(weights),
        products=str(products),
        math=str(math),
        sizes=_sizes(sizes),
        frozen=_frozen(freeze),
        dynamic=_dynamic(dynamic),
        streaming=bool(streaming),
        profile=bool(profile),
    )
    if kind:
        _raise(kind, diagnostics)
    if diagnostics.strip():
        warnings.warn(diagnostics.strip(), CompileWarning, stacklevel=2)
    shown = name or (os.path.basename(source) if isinstance(source, str) else "")
    return Model(artifact, shown, threads)


def targets() -> list[str]:
    """What this installation can compile for."""
    return _compiler().targets()


def _compiler() -> Any:
    try:
        from . import _compiler as module
    except ImportError as error:
        raise CompileError(f"this installation of lnnc has no compiler ({error})") from error
    return module


def _source(model: Source) -> str | bytes:
    """A path as str, anything else as bytes."""
    if isinstance(model, str):
        return model.encode() if _is_text(model) else model
    if isinstance(model, bytes):
        return model
    if isinstance(model, (bytearray, memoryview)):
        return bytes(model)
    if hasattr(model, "SerializeToString"):
        return _serialize(model)
    try:
        path = os.fspath(model)
    except TypeError:
        what = f"{type(model).__module__}.{type(model).__qualname__}"
        raise InputError(
            f"cannot compile a {what}: give a path, bytes, an onnx.ModelProto or .mlir text"
        ) from None
    return os.fsdecode(path)


def _serialize(model: Any) -> bytes:
    try:
        return model.SerializeToString()
    except Exception as error:  # protobuf's own classes differ by version and implementation
        raise InputError(
            f"cannot serialize the model ({error}): "
            "above 2 GB, save it with external data and give the path"
        ) from error


def _is_text(model: str) -> bool:
    """.mlir text has lines or braces; a path rarely does, and then it exists."""
    return "\n" in model or ("{" in model and not os.path.exists(model))


def _features(features: str | Iterable[str] | None) -> str:
    if features is None:
        return ""
    if isinstance(features, str):
        return features
    return ",".join(f if f[:1] in "+-" else f"+{f}" for f in features)


def _states(states: Mapping[str, str] | None) -> list[tuple[str, str]]:
    pairs = list(dict(states or {}).items())
    for pair in pairs:
        if not all(isinstance(name, str) for name in pair):
            raise InputError(
                f"states maps input names to output names, not {pair[0]!r} to {pair[1]!r}"
            )
    return pairs


def _sizes(sizes: Mapping[str, int] | None) -> list[tuple[str, int]]:
    if not isinstance(sizes, (Mapping, type(None))):
        raise InputError(f'sizes maps names to integers, as {{"batch": 1}}; found {sizes!r}')
    return [(str(name), _integer(size, f"size {name!r}")) for name, size in (sizes or {}).items()]


def _frozen(freeze: Mapping[str, Any] | None) -> list[tuple[str, list[int], list[Any]]]:
    """Names, shapes and elements: integers or floats."""
    if not isinstance(freeze, (Mapping, type(None))):
        raise InputError(f'freeze maps inputs to values, as {{"sr": 16000}}; found {freeze!r}')
    inputs = []
    for name, value in (freeze or {}).items():
        try:
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                array = array.astype("f8", casting="safe")
            wide = array.astype("f8" if array.dtype.kind == "f" else "i8")
        except (TypeError, ValueError) as error:
            raise InputError(f"the value of input {name!r} is no array: {error}") from None
        if array.dtype.kind == "u" and (wide < 0).any():
            raise InputError(f"the value of input {name!r} is larger than {2**63 - 1}")
        inputs.append((str(name), list(array.shape), wide.ravel().tolist()))
    return inputs


def _dynamic(dynamic: Mapping[str, Mapping[int, str]] | None) -> list[str]:
    sizes = []
    for name, axes in dict(dynamic or {}).items():
        if not isinstance(name, str) or not isinstance(axes, Mapping):
            raise InputError(
                'dynamic maps input names to axes and their names, as {"x": {1: "time"}}, '
                f"not {name!r} to {axes!r}"
            )
        for axis, size in axes.items():
            whole = isinstance(axis, int) and not isinstance(axis, bool)
            if not whole or not isinstance(size, str) or not size or "=" in size:
                raise InputError(
                    f"dynamic gives axes of {name!r} names, as {{1: 'time'}}, "
                    f"not {axis!r} the name {size!r}"
                )
            sizes.append(f"{name}:{axis}={size}")
    return sizes


def _raise(kind: str, diagnostics: str) -> NoReturn:
    error = {"unsupported": UnsupportedError, "input": InputError}.get(kind, CompileError)
    text = diagnostics.strip() or "the compiler failed without saying why"
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    if len(lines) == 1 and text.startswith("error: "):
        text = text[len("error: ") :]
    raise error(text)
