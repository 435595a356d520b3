"""Finds missing frames by an exchange's own numbering of a connection's frames."""

from __future__ import annotations

from typing import NamedTuple


class MissingFrames(NamedTuple):
    """Frames `first` to `last` did not arrive; they were due after `since` and by `at`."""

    first: int
    last: int
    since: int
    at: int

    @property
    def lost(self) -> int:
        """The number of missing frames."""
        return self.last - self.first + 1


class FrameCounter:
    """The frame numbers of one connection; `at` is where a frame was received: a time, or a capture's line.

    A number beyond the next one leaves frames missing, which may still arrive. A number at or below the
    highest is one of those, or a repeat: nothing is lost by it.
    """

    __slots__ = ("_at", "high", "missing")

    def __init__(self) -> None:
        self.missing: list[MissingFrames] = []
        self.high = -1
        """The highest number so far; -1 before the first, which may have any value."""

        self._at = 0

    def add(self, number: int, at: int) -> None:
        """Add the number of the next frame."""
        if number <= self.high:
            if self.missing:
                self.missing = [part for gap in self.missing for part in _without(gap, number)]
            return
        if 0 <= self.high < number - 1:
            self.missing.append(MissingFrames(self.high + 1, number - 1, self._at, at))
        self.high, self._at = number, at

    def take(self, at: int) -> list[MissingFrames]:
        """Take the frames that were found missing at `at` or before: they are lost."""
        lost = [gap for gap in self.missing if gap.at <= at]
        self.missing = [gap for gap in self.missing if gap.at > at]
        return lost


def _without(gap: MissingFrames, number: int) -> list[MissingFrames]:
    """The range without one of its numbers."""
    parts = (gap._replace(last=min(gap.last, number - 1)), gap._replace(first=max(gap.first, number + 1)))
    return [part for part in parts if part.lost > 0] if gap.first <= number <= gap.last else [gap]
