"""Duplicates, gaps and made ids of trades, per symbol, by column. Pure: state in, state out.

    checked = continuity.check(exchange.continuity, columns, states, usable)

`columns` holds the decoded trades of one exchange in raw order; `usable` is False for those that are rejected
for their numbers: their ids did come, so they are no gap, but a usable trade with such an id is still wanted.
`states` has the state of each symbol seen before and is not modified; a symbol without one is new.
Any cutting of the same trades into batches gives the same kept trades, ids, gaps and final states.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k2stream.exchanges.spec import Continuity
from k2stream.model.events import EventKind
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import content, ids, made
from k2stream.normalizer.continuity.content import Hashes
from k2stream.normalizer.continuity.state import Checked, ContinuityState, Ids

_UNSEEN = {Continuity.CONTIGUOUS: EventKind.GAP, Continuity.RISING: EventKind.JUMP}
"""What ids that did not come are."""


def check(
    continuity: Continuity,
    columns: TradeColumns,
    states: Mapping[str, ContinuityState],
    usable: NDArray[np.bool_] | None = None,
    hashes: Hashes | None = None,
) -> Checked:
    """Drop repeats, report gaps and make missing ids: see the module's docstring.

    `usable` None: all are. `hashes` are those of the trades' numbers, for callers that have parsed them.
    """
    usable = np.ones(len(columns), np.bool_) if usable is None else usable
    if hashes is None:
        hashes = content.parsed(columns)
    if continuity is Continuity.NONE:
        return made.check(columns, states, usable, hashes)
    return ids.check(columns, states, usable, hashes, _UNSEEN[continuity])


__all__ = ["Checked", "ContinuityState", "Ids", "check"]
