"""Rows of trades in the order of a page, with silver's columns (pure)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from k2stream.history.trades import TradePage
from k2stream.layers.schema import SILVER
from k2stream.model import clock

Column = NDArray[np.int64]


def ordered(rows: pa.Table, page: TradePage, start: int, end: int) -> pa.Table:
    """The rows that a page may have, of those with start <= time < end (µs), in its direction."""
    time = _numbers(rows, "timestamp")
    keep = (time >= start) & (time < end)
    keys = _keys(rows, page)
    if page.from_id is not None:
        keep &= keys[0] >= page.from_id
    if page.place is not None:
        keep &= _beyond(keys, page.place, back=page.leads_back)
    kept = np.flatnonzero(keep)
    order = np.lexsort([key[kept] for key in reversed(keys)])
    return rows.take(pa.array(kept[order[::-1] if page.leads_back else order]))


def joined(page: TradePage, *tiers: pa.Table) -> pa.Table:
    """The first trades of a page among those of several tiers, each once.

    A trade's identity is its place in its raw topic; of a trade that several tiers have, the first counts.
    """
    rows = pa.concat_tables([SILVER.empty_table(), *tiers])
    identity = np.stack([_numbers(rows, name) for name in ("raw_partition", "raw_offset")], axis=1)
    _, first = np.unique(identity, axis=0, return_index=True)
    once = rows.take(pa.array(np.sort(first)))
    return ordered(once, page, page.first, page.last(clock.TIME_LIMIT)).slice(0, page.limit)


def newest(rows: pa.Table) -> int | None:
    """The newest time (µs) of a trade."""
    found = pc.max(rows["timestamp"]).cast(pa.int64()).as_py()
    return None if found is None else int(found)


def count_since(rows: pa.Table, time: int) -> int:
    """How many trades are of a time (µs) or later."""
    return int((_numbers(rows, "timestamp") >= time).sum())


def _keys(rows: pa.Table, page: TradePage) -> list[Column]:
    """What a page is in order of; see `TradePage.place`."""
    sequence, offset = _numbers(rows, "sequence"), _numbers(rows, "raw_offset")
    if page.by_number:
        return [np.where(sequence == 0, offset, sequence), offset]
    return [_numbers(rows, "timestamp"), sequence, offset]


def _beyond(keys: list[Column], place: tuple[int, ...], *, back: bool) -> NDArray[np.bool_]:
    beyond, equal = np.zeros(len(keys[0]), np.bool_), np.ones(len(keys[0]), np.bool_)
    for key, at in zip(keys, place, strict=True):
        beyond |= equal & ((key < at) if back else (key > at))
        equal &= key == at
    return beyond


def _numbers(rows: pa.Table, name: str) -> Any:
    return rows[name].cast(pa.int64()).to_numpy()
