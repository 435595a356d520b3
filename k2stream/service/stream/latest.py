"""The newest durable revision of each candle that changed lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile

from k2stream.service.stream.entries import Place, StreamEntry, in_order

PER_KEY = 5_000
"""The most windows of a key that are held."""


class LatestLog:
    """Windows by key, in the order of their last change; a revision replaces an older one of its window.

    What is read from the place `begin` gives on is held, so a later publication of the same revision (by a
    worker that was killed before its commit) is recognized.
    """

    def __init__(self, per_key: int = PER_KEY) -> None:
        self.positions: dict[int, Place] = {}
        self._per_key = per_key
        self._floors: dict[int, int] = {}
        self._dropped: dict[str, int] = {}
        self._windows: dict[str, dict[int, StreamEntry]] = {}

    def begin(self, starts: Mapping[int, int]) -> None:
        """Start anew, at the first offset of each partition that will be read."""
        self._floors = dict(starts)
        self.positions = {partition: Place(start - 1) for partition, start in starts.items()}
        self._windows.clear()
        self._dropped.clear()

    def add(self, entry: StreamEntry) -> bool:
        """Add the next entry of a partition; False if its revision or a newer one was published before."""
        self.positions[entry.partition] = entry.place
        windows = self._windows.setdefault(entry.key, {})
        held = windows.get(entry.time)
        if held is not None and held.revision >= entry.revision:
            return False
        windows.pop(entry.time, None)
        windows[entry.time] = entry
        if len(windows) > self._per_key:
            oldest = windows.pop(next(iter(windows)))
            self._dropped[entry.key] = oldest.place.offset + 1
        return True

    def after(self, keys: Iterable[str], partition: int, place: Place) -> list[StreamEntry]:
        """The entries of some keys of one partition after a place, in order."""
        found: list[StreamEntry] = []
        parts = 0
        for key in keys:
            windows = self._windows.get(key, {})
            newer = list(takewhile(lambda entry: entry.place > place, reversed(windows.values())))
            found += reversed(newer)
            parts += bool(newer)
        return in_order(found, parts)

    def covers(self, keys: Iterable[str], partition: int, place: Place) -> bool:
        """Whether `after` knows all entries after a place."""
        least = max((self._dropped.get(key, 0) for key in keys), default=0)
        return place.offset + 1 >= max(self._floors[partition], least)

    def windows(self, key: str) -> Mapping[int, StreamEntry]:
        """A key's windows by open time (ms), in the order of their last change."""
        return self._windows.get(key, {})
