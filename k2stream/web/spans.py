"""Disjoint time spans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Spans:
    """Disjoint time spans, both ends included."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Add a span, merging it with the spans that it touches."""
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def meet(self, start: int, end: int) -> bool:
        """Whether a span overlaps [start, end)."""
        return bisect_left(self._ends, start) < bisect_left(self._starts, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The spans as (start, end), ascending."""
        return zip(self._starts, self._ends, strict=True)

    def within(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of the spans from `start` to `end`, both included."""
        some = slice(bisect_left(self._ends, start), bisect_right(self._starts, end))
        found = zip(self._starts[some], self._ends[some], strict=True)
        return [(max(first, start), min(last, end)) for first, last in found]

    def outside(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end] that no span covers."""
        inside = self.within(start, end)
        ends, starts = [start, *(last for _, last in inside)], [*(first for first, _ in inside), end]
        return [part for part in zip(ends, starts, strict=True) if part[0] < part[1]]

    def covered(self, start: int, end: int) -> int:
        """How much of [start, end) the spans cover, in their unit."""
        return sum(last - first for first, last in self.within(start, end))
