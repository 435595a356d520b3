"""The newest trades or feed events, each of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from k2stream.service.stream.entries import Place, StreamEntry, in_order

PER_KEY = 10_000
"""The most entries of a key that are held."""


class RingLog:
    """Entries by key, of which the oldest are dropped.

    The revision of a key's entries rises, so one that is published again is recognized.
    """

    def __init__(self) -> None:
        self.positions: dict[int, Place] = {}
        self._floors: dict[int, int] = {}
        self._dropped: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._entries: dict[str, deque[StreamEntry]] = {}

    def begin(self, starts: Mapping[int, int]) -> None:
        """Start anew, at the first offset of each partition that will be read."""
        self._floors = dict(starts)
        self.positions = {partition: Place(start - 1) for partition, start in starts.items()}
        for held in (self._dropped, self._known, self._entries):
            held.clear()

    def add(self, entry: StreamEntry) -> bool:
        """Add the next entry of a partition; False if it was published before."""
        self.positions[entry.partition] = entry.place
        if self._known.get(entry.key, -1) >= entry.revision:
            return False
        self._known[entry.key] = entry.revision
        entries = self._entries.setdefault(entry.key, deque())
        entries.append(entry)
        if len(entries) > PER_KEY:
            self._dropped[entry.key] = entries.popleft().place.offset + 1
        return True

    def after(self, keys: Iterable[str], partition: int, place: Place) -> list[StreamEntry]:
        """The entries of some keys of one partition after a place, in order."""
        found: list[StreamEntry] = []
        parts = 0
        for key in keys:
            entries = self._entries.get(key)
            if entries and entries[-1].place > place:
                first = bisect_right(entries, place, key=lambda entry: entry.place)
                found += islice(entries, first, None)
                parts += 1
        return in_order(found, parts)

    def covers(self, keys: Iterable[str], partition: int, place: Place) -> bool:
        """Whether `after` knows all entries after a place."""
        least = max((self._dropped.get(key, 0) for key in keys), default=0)
        return place.offset + 1 >= max(self._floors[partition], least)

    def windows(self, key: str) -> Mapping[int, StreamEntry]:
        """Empty: no candles are held."""
        return {}
