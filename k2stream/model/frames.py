"""An exchange's own numbering of a connection's frames: which did not come."""

from __future__ import annotations

from typing import NamedTuple


class MissingFrames(NamedTuple):
    """Frames `first` to `last` did not come; they should have come after `since` and by `at`."""

    first: int
    last: int
    since: int
    at: int

    @property
    def lost(self) -> int:
        """How many."""
        return self.last - self.first + 1


class FrameCounter:
    """The numbers of one connection's frames; `at` is where each came: a time, or a line of a capture.

    A number beyond the next one leaves some missing, which may yet come. A number at or below the highest is
    one of those, or a repeat: nothing is lost by it.
    """

    __slots__ = ("_at", "high", "missing")

    def __init__(self) -> None:
        self.missing: list[MissingFrames] = []
        self.high = -1
        """The highest number so far; -1 before the first, which is taken as it is."""

        self._at = 0

    def add(self, number: int, at: int) -> None:
        """Take the next frame's number."""
        if number <= self.high:
            if self.missing:
                self.missing = [part for gap in self.missing for part in _without(gap, number)]
            return
        if 0 <= self.high < number - 1:
            self.missing.append(MissingFrames(self.high + 1, number - 1, self._at, at))
        self.high, self._at = number, at

    def take(self, at: int) -> list[MissingFrames]:
        """Give up those that were missed at `at` or before: they are lost."""
        lost = [gap for gap in self.missing if gap.at <= at]
        self.missing = [gap for gap in self.missing if gap.at > at]
        return lost


def _without(gap: MissingFrames, number: int) -> list[MissingFrames]:
    """A range without one of its numbers."""
    parts = (gap._replace(last=min(gap.last, number - 1)), gap._replace(first=max(gap.first, number + 1)))
    return [part for part in parts if part.lost > 0] if gap.first <= number <= gap.last else [gap]
