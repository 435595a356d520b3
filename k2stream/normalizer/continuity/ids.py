"""Continuity of exchanges that number their trades: duplicates, missing ids, and ids that start again.

A trade is a duplicate when its id and content were seen before. An aggregated trade is identified by the ids
that it covers, because exchanges reuse its own id. A seen id with other content means that the numbering has
started again: a new epoch. What aggregated trades stand for are plain ids, seen like those of plain trades:
each counts once, whichever way it came. The contents of the last trades are remembered (recent.py); for older
ones the time decides, because a duplicate is never newer than the newest trade.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k2stream.model.events import EventKind
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity.content import Hashes
from k2stream.normalizer.continuity.groups import Group, groups
from k2stream.normalizer.continuity.state import Checked, ContinuityState, copied, duplicates, first_ids
from k2stream.normalizer.continuity.walk import Walk
from k2stream.normalizer.continuity.walk_result import WalkResult


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
        if not state.covered:
            _cover(state, group)
        known = state.ids.get(group.numbering) or first_ids(int(group.number[0]))
        if known.time < 0:
            known.time = state.newest  # earlier releases kept the time per symbol
        at = 0
        while at < len(group.rows):
            ended = known
            walk = Walk(columns, group, ended, state.ids.get(""), at, found, unseen)
            at, known = walk.run()
            if group.aggregated:
                state.ids[""] = walk.plain
            state.newest = max(state.newest, ended.time, known.time)
        state.ids[group.numbering] = known
        dropped = group.rows[~found.keep[group.rows] & group.usable].tolist()
        if dropped := [row for row in dropped if row not in found.doubtful]:
            found.add(duplicates(columns, dropped), dropped[-1])
    return Checked(
        found.keep, columns.trade_id, found.events, found.shown_by, new, found.epoch, found.doubtful
    )


def _cover(state: ContinuityState, group: Group) -> None:
    """Note from now on which plain ids the aggregated trades of a symbol stand for, if it has any.

    Those that stand for the ids up to now are not known in a state of an earlier release.
    """
    last = max((ids.last for ids in state.ids.values()), default=-1)
    if last < 0 and not group.aggregated:
        return
    plain = state.ids.setdefault("", first_ids(int(group.first[0])) if last < 0 else first_ids(last + 1))
    if plain.high < last:
        plain.holes.append((plain.high + 1, last))
        plain.high = last
    state.covered = True
