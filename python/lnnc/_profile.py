"""What a model's time went into."""

from __future__ import annotations

import os
from typing import NamedTuple


class Region(NamedTuple):
    """A part of a model, and what a call spends in it on average. What lies in it counts too."""

    name: str
    """The node that it came from."""
    kind: str
    """`sum` (reductions and matrix products), `map` (elementwise), `copy`, `loop` or `if`."""
    nodes: list[str]
    """All nodes that it came from."""
    parent: int | None
    """The index of the region that it lies in."""
    depth: int
    """Of how many regions it is a part."""
    entries: float
    """How often it runs."""
    seconds: float
    operations: float
    """On numbers in floating point: a fused multiply-add is two, a function (exp, tanh, ...)
    counts as 20. What is not a structured operation is not counted.
    """
    bytes: float
    """Read and written, each element once an entry."""
    of_peak: float | None
    """The time that operations and bytes would take at this machine's measured peaks, as a part
    of the time that it took; None where nothing is counted.
    """


class Profile:
    """The result of `Model.profile`; `print` shows it as a table, a notebook as a picture."""

    def __init__(self, calls: int, seconds: float, regions: list[tuple], text: str, svg: str):
        self.calls = calls
        """How many calls count: not those that the machine was too busy for. All figures are
        means of these.
        """
        self.seconds = seconds / calls
        """Of a call, whole."""
        self.regions = [_region(calls, *region) for region in regions]
        """In the order in which they run; one that lies in another follows it."""
        self._text, self._svg = text, svg

    def svg(self) -> str:
        """The regions as a picture: as wide as they took time, below those that they lie in."""
        return self._svg

    def save_svg(self, path: str | os.PathLike[str]) -> None:
        """Writes the picture to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._svg)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        micros = self.seconds * 1e6
        return f"<lnnc.Profile of {self.calls} calls: {micros:.3f} us, {len(self.regions)} regions>"

    def _repr_html_(self) -> str:
        return self._svg


def _region(calls, name, kind, nodes, parent, depth, entries, seconds, operations, size, least):
    return Region(
        name,
        kind,
        nodes.split("\n") if nodes else [],
        parent if parent >= 0 else None,
        depth,
        entries / calls,
        seconds / calls,
        operations / calls,
        size / calls,
        least / seconds if least and seconds else None,
    )
