"""What is kept of a symbol's ids between batches, and what a batch gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import told


class Ids(msgspec.Struct, array_like=True):
    """Which ids of one numbering were seen: all up to `high` but those in `holes`.

    `holes` are [first, last] ranges, ascending; the ids below the first one ever seen are a hole too.
    `time` is the newest trade time, µs, -1 where an earlier release wrote it. `last`: of aggregated trades
    the highest id that one stands for, else -1. `recent`: what the last trades said (recent.py).
    `epoch` counts how often the ids have started again, `since` when, and `past` has the numberings before.
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
    """Continuity of one symbol; plain JSON, for a changelog.

    `ids`: by numbering ("" the usual one). `newest`: the largest trade time. `told`: for exchanges without
    ids, what the last trades were; `recent` is what an earlier release kept instead.
    """

    ids: dict[str, Ids] = {}
    newest: int = 0
    recent: dict[str, tuple[int, int]] = {}
    told: told.Union | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a batch: arrays and lists of the batch's length and order; `states` of its symbols only.

    `keep` is False for duplicates and for trades that are not usable or `doubtful`: these have a cause, by
    row. `epoch` is the numbering epoch of each trade. `events`: a GAP (JUMP where ids may skip) per range of
    ids that did not come, a RESTART where ids start again, and one DUPLICATE per symbol with the count; their
    time is the receive time of the trade that showed it, `shown_by` its row, and a gap's `since` the newest
    trade time of its numbering before it.
    """

    keep: NDArray[np.bool_]
    trade_id: list[str]
    events: list[FeedEvent]
    shown_by: list[int]
    states: dict[str, ContinuityState]
    epoch: NDArray[np.int64]
    doubtful: dict[int, str] = field(default_factory=dict)


def copied(state: ContinuityState | None) -> ContinuityState:
    """A state that may be changed; a new one for None."""
    if state is None:
        return ContinuityState()
    numberings = {name: copied_ids(ids) for name, ids in state.ids.items()}
    return ContinuityState(numberings, state.newest, state.recent, state.told and told.copied(state.told))


def copied_ids(ids: Ids) -> Ids:
    """Ids that may be changed."""
    return msgspec.structs.replace(ids, holes=list(ids.holes), past=list(map(copied_ids, ids.past)))


def duplicates(columns: TradeColumns, rows: list[int]) -> FeedEvent:
    """The event of dropped repeats of one symbol."""
    return FeedEvent(
        kind=EventKind.DUPLICATE,
        exchange=columns.exchange,
        time=columns.receive_time[rows[-1]],
        symbol=columns.symbol[rows[0]],
        count=len(rows),
    )
