"""The continuity state of a symbol between batches, and the result of checking a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import reports


class Ids(msgspec.Struct, array_like=True):
    """The ids of one numbering that were seen: all up to `high` except those in `holes`.

    `holes` are ranges [first, last] of unseen ids, ascending, the first one below the first id ever seen.
    `time` is the newest trade time in µs, -1 in a state of an earlier release. `last` is the highest plain id
    that an aggregated trade stood for, -1 for plain trades. `recent` has the last trades (recent.py).
    `epoch` counts how often the ids have started again, last at `since` (trade time in µs); `past` has the
    earlier epochs.
    """

    high: int
    holes: list[tuple[int, int]]
    time: int = -1
    last: int = -1
    recent: bytes = b""
    epoch: int = 0
    past: list[Ids] = []
    since: int = 0


class ContinuityState(msgspec.Struct, omit_defaults=True):
    """The continuity state of one symbol, stored as plain JSON in a changelog.

    `ids` are by numbering ("" for plain trades, and for what aggregated trades stand for: `covered` is False
    where an earlier release did not note that); `newest` is the newest trade time in µs. `reported` has the
    last trades of exchanges without ids; earlier releases used `recent` instead.
    """

    ids: dict[str, Ids] = {}
    newest: int = 0
    recent: dict[str, tuple[int, int]] = {}
    reported: reports.Union | None = msgspec.field(default=None, name="told")
    covered: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a batch: `keep`, `trade_id` and `epoch` by row, `states` of the batch's symbols only.

    `keep` is False for duplicates, unusable trades and `doubtful` ones, for which the cause is given by row.
    `epoch` is the numbering epoch. `events` has a GAP (JUMP where ids may skip) per range of missing ids, a
    RESTART where ids start again, and a DUPLICATE with the count per symbol and run of a numbering.
    `shown_by` is the row of the trade that revealed the event, and the event's time is its receive time; a
    gap's `since` is the newest trade time of its numbering before the gap.
    """

    keep: NDArray[np.bool_]
    trade_id: list[str]
    events: list[FeedEvent]
    shown_by: list[int]
    states: dict[str, ContinuityState]
    epoch: NDArray[np.int64]
    doubtful: dict[int, str] = field(default_factory=dict)


def copied(state: ContinuityState | None) -> ContinuityState:
    """A copy that may be modified; a new state for None."""
    if state is None:
        return ContinuityState()
    numberings = {name: copied_ids(ids) for name, ids in state.ids.items()}
    reported = state.reported and reports.copied(state.reported)
    return ContinuityState(numberings, state.newest, state.recent, reported, state.covered)


def first_ids(first: int) -> Ids:
    """The ids of a numbering before its first one."""
    return Ids(first - 1, [(0, first - 1)] if first else [], 0)


def copied_ids(ids: Ids) -> Ids:
    """A copy that may be modified."""
    return msgspec.structs.replace(ids, holes=list(ids.holes), past=list(map(copied_ids, ids.past)))


def duplicates(columns: TradeColumns, rows: list[int]) -> FeedEvent:
    """The event that reports the dropped duplicates of one symbol."""
    return FeedEvent(
        kind=EventKind.DUPLICATE,
        exchange=columns.exchange,
        time=columns.receive_time[rows[-1]],
        symbol=columns.symbol[rows[0]],
        count=len(rows),
    )
