"""Finds duplicates and gaps of trades per symbol, and makes ids where an exchange has none. Pure.

    checked = continuity.check(exchange.continuity, columns, states, usable)

`columns` has the decoded trades of one exchange in raw order. `usable` is False for trades that are rejected
for their numbers: their ids are received, hence no gap, but a usable trade with such an id is still accepted.
`states` has the state of each known symbol and is not modified; a symbol without a state is new.
Batch boundaries do not affect the kept trades, their ids, the gaps and the final states.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k2stream.exchanges.spec import Continuity
from k2stream.model.events import EventKind
from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import content, content_ids, ids
from k2stream.normalizer.continuity.content import Hashes
from k2stream.normalizer.continuity.state import Checked, ContinuityState, Ids

_UNSEEN = {Continuity.CONTIGUOUS: EventKind.GAP, Continuity.RISING: EventKind.JUMP}
"""The event kind that reports missing ids."""


def check(
    continuity: Continuity,
    columns: TradeColumns,
    states: Mapping[str, ContinuityState],
    usable: NDArray[np.bool_] | None = None,
    hashes: Hashes | None = None,
) -> Checked:
    """Drop duplicates, report gaps and make ids: see the module's docstring.

    All trades are usable when `usable` is None. Callers that have parsed the numbers pass their `hashes`
    (`content.numbers`).
    """
    usable = np.ones(len(columns), np.bool_) if usable is None else usable
    if hashes is None:
        hashes = content.parsed(columns)
    if continuity is Continuity.NONE:
        return content_ids.check(columns, states, usable, hashes)
    return ids.check(columns, states, usable, hashes, _UNSEEN[continuity])


__all__ = ["Checked", "ContinuityState", "Ids", "check"]
