"""Decides by each key's event time which records of a batch are applied, replayed, or late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2stream.candles.codec import KeyProgress
from k2stream.candles.state import State
from k2stream.model.trade import HotTrades

MINUTE_US = 60_000_000

AHEAD_BOUND_US = 1_000_000
"""How far beyond its own receive time a trade can move its symbol's event time, at most.

Both times are in the record, so a replay gives the same result. Synchronized clocks differ by milliseconds.
A trade dated further ahead is due to a wrong clock, and must not make the trades after it late.
"""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Admission:
    """Row numbers of a batch by decision. `rows` are to be applied, grouped by key, in raw order per key.

    `late` are late trades. `ahead` are rows dated beyond AHEAD_BOUND_US. `replayed` counts dropped records.
    """

    rows: Rows
    late: Rows
    ahead: Rows
    replayed: int
    progress: dict[str, KeyProgress]
    """Progress of the batch's keys after the batch."""


def by_key(trades: HotTrades) -> Rows:
    """Return all rows grouped by key, in input order per key."""
    code = trades.key.astype(np.uint16) if len(trades.keys) <= 1 << 16 else trades.key  # 16 bits: radix sort
    return np.argsort(code, kind="stable")


def event_time(timestamp: Rows, receive_time: Rows) -> Rows:
    """Return the event times of trades in µs: trade time, at most AHEAD_BOUND_US after receive time."""
    return np.minimum(timestamp, receive_time + AHEAD_BOUND_US)


def furthest(state: State) -> int:
    """Return an upper limit of a window's event time, in µs; exact if no trade is dated ahead."""
    return min(state.close_at[0], state.receive_time + AHEAD_BOUND_US)


def admit(trades: HotTrades, before: Callable[[str], KeyProgress | None], grace: int) -> Admission:
    """Decide for each record, in raw order, whether it is a replay, late, or to be applied.

    The result does not depend on how records are batched. `before` returns the progress of a key; `grace` is
    in µs. A record at or below its key's highest raw offset is a replay. A trade is late if its minute ended
    at or before the key's newest event time minus grace. Backfilled trades are never late, since they are
    meant to revise candles.
    """
    rows = by_key(trades)
    key = trades.key[rows]
    if not len(rows):
        return Admission(rows, rows, rows, 0, {})
    starts = _starts(key)
    names = [trades.keys[code] for code in key[starts].tolist()]
    known = [before(name) for name in names]

    offset = trades.raw_offset[rows]
    highest = _highest_before(offset, starts, [-1 if p is None else p.raw_offset for p in known])
    fresh = offset > highest
    replayed = len(rows) - int(np.count_nonzero(fresh))
    if replayed:
        rows, key = rows[fresh], key[fresh]
        if not len(rows):
            return Admission(rows, rows, rows, replayed, {})
        starts = _starts(key)
        offset = offset[fresh]
        kept = dict(zip(names, known, strict=True))
        names = [trades.keys[code] for code in key[starts].tolist()]
        known = [kept[name] for name in names]

    time = trades.timestamp[rows]
    reached = event_time(time, trades.receive_time[rows])
    newest = _highest_before(reached, starts, [0 if p is None else p.newest for p in known])
    late = time - time % MINUTE_US + MINUTE_US <= newest - grace
    ends = np.append(starts[1:], len(rows)) - 1
    progress = {
        name: KeyProgress(raw_offset, max(top, last))
        for name, raw_offset, top, last in zip(
            names, offset[ends].tolist(), newest[ends].tolist(), reached[ends].tolist(), strict=True
        )
    }
    if late.any():
        late[late] = ~trades.backfilled(rows[late])
    ahead = rows[reached < time]
    if not late.any():
        return Admission(rows, rows[:0], ahead, replayed, progress)
    return Admission(rows[~late], rows[late], ahead, replayed, progress)


def _starts(key: Rows) -> Rows:
    """Return the start of each run of equal values."""
    return np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))


def _highest_before(values: Rows, starts: Rows, initial: list[int]) -> Rows:
    """Return for each value the highest one before it in its group, at least the group's initial value."""
    highest = np.empty_like(values)
    ends = [*starts.tolist()[1:], len(values)]
    for start, end, least in zip(starts.tolist(), ends, initial, strict=True):
        highest[start] = least
        highest[start + 1 : end] = values[start : end - 1]
        np.maximum.accumulate(highest[start:end], out=highest[start:end])
    return highest
