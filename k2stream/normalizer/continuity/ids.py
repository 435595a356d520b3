"""Continuity of exchanges that number their trades: duplicates, missing ids, and ids that start again.

A trade is a duplicate when its id and content were seen before. An aggregated trade is identified by the ids
that it covers, because exchanges reuse its own id. A seen id with other content means that the numbering has
started again: a new epoch. The contents of the last trades are remembered (recent.py); for older ones the
time decides, because a duplicate is never newer than the newest trade.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k2stream.model.events import EventKind
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity.content import Hashes
from k2stream.normalizer.continuity.groups import groups
from k2stream.normalizer.continuity.state import Checked, ContinuityState, Ids, copied, duplicates
from k2stream.normalizer.continuity.walk import Walk, WalkResult


def check(
    columns: TradeColumns,
    states: Mapping[str, ContinuityState],
    usable: NDArray[np.bool_],
    hashes: Hashes,
    unseen: EventKind,
) -> Checked:
    """Same as `continuity.check`; `unseen` is the event kind that reports missing ids."""
    found = WalkResult(usable.copy(), np.zeros(len(columns), np.int64))
    new: dict[str, ContinuityState] = {}
    for group in groups(columns, usable, hashes):
        state = new.get(group.symbol) or copied(states.get(group.symbol))
        new[group.symbol] = state
        known = state.ids.get(group.numbering)
        if known is None:
            first = int(group.number[0])
            known = Ids(first - 1, [(0, first - 1)] if first else [], 0)
        elif known.time < 0:
            known.time = state.newest  # earlier releases kept the time per symbol
        at = 0
        while at < len(group.rows):
            ended = known
            at, known = Walk(columns, group, ended, at, found, unseen).run()
            state.newest = max(state.newest, ended.time, known.time)
        state.ids[group.numbering] = known
        dropped = group.rows[~found.keep[group.rows] & group.usable].tolist()
        if dropped := [row for row in dropped if row not in found.doubtful]:
            found.add(duplicates(columns, dropped), dropped[-1])
    return Checked(
        found.keep, columns.trade_id, found.events, found.shown_by, new, found.epoch, found.doubtful
    )
