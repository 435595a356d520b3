"""Parts of a table in key order, each complete up to a place, and how parts become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from k2stream.batch._key_text import order

MOST_BYTES = 4 << 20
"""Values of one part end after this size, with one value at least."""

Position = tuple[Any, int]
"""Of an entry: the place of its key, and its partition, which may hold a key of another one too."""


class TableEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of a table; `start` and `end` are those of a window, in ms since 1970, `end` exclusive."""

    key: str
    partition: int
    start: int | msgspec.UnsetType = msgspec.UNSET
    end: int | msgspec.UnsetType = msgspec.UNSET
    value: msgspec.Raw


class TablePart(msgspec.Struct, frozen=True):
    """Entries in order, with the places of their keys; all there are up to position `upto`, None for all."""

    entries: list[TableEntry] = []
    places: list[Any] = []
    upto: Position | None = None


def rank(position: Position) -> tuple[Any, ...]:
    """Return what sorts positions: the key, then the partition."""
    place, partition = position
    return order(place), partition


def cut(
    rows: Iterable[tuple[Any, TableEntry]], limit: int, upto: Position | None, most_bytes: int = MOST_BYTES
) -> TablePart:
    """Return the first of ascending (place, entry) as a part: at most `limit`, and of limited size.

    `upto` is the position up to which the rows are complete.
    """
    entries: list[TableEntry] = []
    places: list[Any] = []
    size = 0
    for place, entry in rows:
        size += len(memoryview(entry.value))
        if len(entries) == limit or (entries and size > most_bytes):
            return TablePart(entries, places, (places[-1], entries[-1].partition))
        entries.append(entry)
        places.append(place)
    return TablePart(entries, places, upto)


def merge(parts: Sequence[TablePart], limit: int, most_bytes: int = MOST_BYTES) -> TablePart:
    """Return one part of several that have no entry in common, as far as all of them are complete."""
    upto = min((part.upto for part in parts if part.upto is not None), key=rank, default=None)
    rows = [pair for part in parts for pair in zip(part.places, part.entries, strict=True)]
    rows.sort(key=lambda row: rank((row[0], row[1].partition)))
    if upto is not None:
        end = rank(upto)
        rows = [row for row in rows if rank((row[0], row[1].partition)) <= end]
    return cut(rows, limit, upto, most_bytes)
