"""Reads a table for the pages: entries of some partitions in key order, or those of one key."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from k2stream.batch import _windows as windows
from k2stream.batch._key_text import find, order, place_of, text_of
from k2stream.batch._parts import TableEntry, TablePart, cut, rank
from k2stream.batch._queries import KeyRange
from k2stream.batch._table import BatchTable
from k2stream.model.errors import RequestError

AT_ONCE = 10_000
"""Keys that are looked at before others get their turn in the event loop."""

logger = logging.getLogger(__name__)

Row = Callable[[Any, Any], object]
"""Of key and value: what is shown as the value."""

_encoder = msgspec.json.Encoder()
_GONE: Any = object()
_Found = tuple[tuple[Any, int], Any, Any]  # rank, place, key


@dataclass(frozen=True, slots=True)
class ServedTable:
    """A table as its pages show it: values as JSON, decimals as strings, or what `row` makes of them."""

    table: BatchTable
    row: Row | None = None

    @property
    def partitions(self) -> int:
        """The number of partitions."""
        return self.table.partitions or int(self.table.app.conf.topic_partitions)

    @property
    def windowed(self) -> bool:
        """Whether it is a table of windows."""
        return self.table.window is not None

    @property
    def size(self) -> float | None:
        """Seconds of a window; None for a table without windows."""
        return None if self.table.window is None else float(getattr(self.table.window, "size", 0.0))

    def place_of(self, raw: bytes) -> Any:
        """Return the place of a changelog key."""
        return place_of(self.table.key_codec()[1](raw), self.windowed)

    def name_of(self, raw: bytes) -> str:
        """Return the text of a changelog key."""
        return text_of(self.place_of(raw), self.windowed)

    async def range(self, held: BatchTable, partitions: Iterable[int], wanted: KeyRange) -> TablePart:
        """Return the entries of a range, of partitions of `held`: the table, or an earlier state of it."""
        best: list[_Found] = []
        for partition in sorted(partitions):
            keys = list(_contents(held, partition))
            for begin in range(0, len(keys), AT_ONCE):
                found = self._within(keys[begin : begin + AT_ONCE], partition, wanted)
                best = heapq.nsmallest(wanted.limit + 1, chain(best, found), key=itemgetter(0))
                await asyncio.sleep(0)
        first = best[: wanted.limit]
        upto = (first[-1][1], first[-1][0][1]) if len(best) > len(first) else None
        rows = ((place, self._entry(held, ranked[1], key, place)) for ranked, place, key in first)
        return cut(((place, entry) for place, entry in rows if entry is not None), wanted.limit, upto)

    def get(self, held: BatchTable, partitions: Iterable[int], text: str) -> TablePart:
        """Return the entries of the key that a text names: one per partition that has the key."""
        found = []
        for partition in sorted(partitions):
            contents = _contents(held, partition)
            for key in find(contents, text, self.table.key_codec()[1], self.size):
                place = place_of(key, self.windowed)
                entry = self._entry(held, partition, key, place)
                if entry is not None:
                    found.append((place, entry))
        found.sort(key=lambda row: rank((row[0], row[1].partition)))
        return cut(found, self.partitions, None)

    def _within(self, keys: Iterable[Any], partition: int, wanted: KeyRange) -> Iterator[_Found]:
        for key in keys:
            place = place_of(key, self.windowed)
            ordered = order(place)
            if wanted.has(place, ordered, partition):
                yield (ordered, partition), place, key

    def _entry(self, held: BatchTable, partition: int, key: Any, place: Any) -> TableEntry | None:
        value = _contents(held, partition).get(key, _GONE)
        if value is _GONE:
            return None  # deleted while others had their turn
        text = text_of(place, self.windowed)
        try:
            shown = _encoder.encode(value if self.row is None else self.row(key, value))
        except Exception as error:
            logger.exception("table %s: the value of %s cannot be shown", self.table.name, text)
            raise RequestError(
                500, f"the value of {text} cannot be shown as JSON: {error}; give `row` to app.web.tables"
            ) from None
        if not self.windowed:
            return TableEntry(key=text, partition=partition, value=msgspec.Raw(shown))
        _, start, end = windows.window_of(key)
        bounds = {"start": round(start * 1000), "end": round(end * 1000)}
        return TableEntry(key=text, partition=partition, value=msgspec.Raw(shown), **bounds)


def _contents(held: BatchTable, partition: int) -> Mapping[Any, Any]:
    found: Mapping[Any, Any] = held.data.partitions.get(partition, {})
    return found
