"""Which records of a batch are applied: replays dropped, late trades set aside, by each key's event time."""

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
"""A trade moves its symbol's event time at most so far beyond its own receive time.

Both times are in the record, so any replay agrees. Clocks in step differ by milliseconds; what is dated
further ahead is a mistake of the exchange's clock or of ours, and may not make the trades after it late.
"""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Admission:
    """Row numbers of a batch by their fate; `rows` are grouped by key, each key's in raw order.

    `ahead` are those of `rows` that are dated beyond the bound.
    """

    rows: Rows
    late: Rows
    ahead: Rows
    replayed: int
    progress: dict[str, KeyProgress]
    """The keys of the batch, after it."""


def by_key(trades: HotTrades) -> Rows:
    """All rows grouped by key, each key's in input order."""
    code = trades.key.astype(np.uint16) if len(trades.keys) <= 1 << 16 else trades.key  # 16 bits: radix sort
    return np.argsort(code, kind="stable")


def event_time(timestamp: Rows, receive_time: Rows) -> Rows:
    """How far a trade moves its symbol's event time, in µs: its own time, bounded by when it was received."""
    return np.minimum(timestamp, receive_time + AHEAD_BOUND_US)


def furthest(state: State) -> int:
    """At least the event time that a window's trades reached, in µs; exact where none is dated ahead."""
    return min(state.close_at[0], state.receive_time + AHEAD_BOUND_US)


def admit(trades: HotTrades, before: Callable[[str], KeyProgress | None], grace: int) -> Admission:
    """Decide each record in raw order: a replay, late, or to be applied; the same in any batching.

    `before` gives the progress of a key; `grace` in µs. A record is a replay at or below the highest raw
    offset seen of its key, late if its minute ended at or before the key's newest event time - grace. What
    was fetched later to fill a gap is never late: it is there to revise.
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
    """Where each group of equal neighbours begins."""
    return np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))


def _highest_before(values: Rows, starts: Rows, initial: list[int]) -> Rows:
    """For each value the highest one before it in its group, at least the group's initial value."""
    highest = np.empty_like(values)
    ends = [*starts.tolist()[1:], len(values)]
    for start, end, least in zip(starts.tolist(), ends, initial, strict=True):
        highest[start] = least
        highest[start + 1 : end] = values[start : end - 1]
        np.maximum.accumulate(highest[start:end], out=highest[start:end])
    return highest
