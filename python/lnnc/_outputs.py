"""The result of a call: arrays by name, by position, and unpacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Outputs(tuple):
    """A model's outputs, in the model's order.

    `out["y"]` and `out[0]` are arrays, `y, hn = out` unpacks, `len(out)` counts. `keys()`,
    `values()` and
    `items()` are those of a mapping, so that `dict(out)` works; `"y" in out` asks for a name.
    """

    __slots__ = ()
    _names: tuple[str, ...] = ()
    _index: dict[str, int] = {}

    def __getitem__(self, key: Any) -> Any:
        """The array of a name or a position (a tuple of them for a slice)."""
        if isinstance(key, str):
            index = self._index.get(key)
            if index is None:
                raise KeyError(f"no output {key!r}; there are: {', '.join(self._names)}")
            key = index
        return tuple.__getitem__(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        """The array of that name, or `default`."""
        index = self._index.get(key)
        return default if index is None else tuple.__getitem__(self, index)

    def keys(self) -> tuple[str, ...]:
        """The names, in order."""
        return self._names

    def values(self) -> tuple[np.ndarray, ...]:
        """The arrays, in order."""
        return tuple(self)

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Pairs of name and array, in order."""
        return zip(self._names, self)

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):
            return key in self._index
        return any(key is value for value in self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._names, tuple(self))

    def __repr__(self) -> str:
        body = ", ".join(f"{name}={value!r}" for name, value in self.items())
        return f"Outputs({body})"


def make_type(names: Sequence[str]) -> type[Outputs]:
    """The class of one model's results: the names are the class's, so that a result is no more than
    its arrays.
    """
    names = tuple(names)
    index = {name: i for i, name in enumerate(names)}
    return type("Outputs", (Outputs,), {"__slots__": (), "_names": names, "_index": index})


def _rebuild(names: tuple[str, ...], values: tuple[np.ndarray, ...]) -> Outputs:
    return make_type(names)(values)
