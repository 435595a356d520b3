"""Continuity of exchanges without trade ids: ids are made from the content, which also finds duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from k2stream.model.trade import TradeColumns
from k2stream.normalizer.continuity import reports
from k2stream.normalizer.continuity.content import Hashes
from k2stream.normalizer.continuity.reports import Reported, Union
from k2stream.normalizer.continuity.state import Checked, ContinuityState, copied, duplicates

RECENT = 128
"""Newest contents remembered per symbol: more than any exchange repeats after a subscription."""

RECENT_US = 1_000_000
"""Contents seen within this time (µs) are remembered as well, so that identical trades get different ids."""

MAX_RECENT = 4096
"""Upper limit of contents remembered per symbol."""

FORGOTTEN = (
    "another connection or a fetch had this time, too many trades ago to remember: a repeat, or missed by it"
)
DOUBT = "not newer than what an earlier release has seen and not remembered: a repeat, or late"


def check(
    columns: TradeColumns, states: Mapping[str, ContinuityState], usable: NDArray[np.bool_], hashes: Hashes
) -> Checked:
    """Make ids EXCHANGE-<µs>-<hash8>: a hash of the content and, from the second equal trade on, its ordinal.

    The id of a trade fetched later is hashed from content and fetch, for its ordinal is not known any more.
    A trade that another connection has already reported is dropped; equal trades of one connection are kept.
    """
    ids: list[str] = []
    new: dict[str, ContinuityState] = {}
    repeated: dict[str, list[int]] = {}
    doubtful: dict[int, str] = {}
    prefix, nothing = columns.exchange.upper(), [""] * len(columns)
    kinds = columns.vendor_data.get(columns.likeness) or nothing
    fetches, links = columns.backfilled or nothing, columns.link or nothing
    for row, (symbol, time, kind) in enumerate(zip(columns.symbol, columns.timestamp, kinds, strict=True)):
        state = new.get(symbol)
        if state is None:
            state = new[symbol] = copied(states.get(symbol))
        if state.reported is None:
            state.reported, state.recent = Union(floor=state.newest), {}
        side = "b" if columns.taker_buy[row] else "s"
        text = crc32(f"{symbol}|{columns.price[row]}|{columns.quantity[row]}|{side}|{kind}".encode())
        content_hash = (int(hashes[row]) + crc32(kind.encode())) & (1 << 63) - 1
        if fetches[row]:
            if usable[row]:
                reports.fetched(state.reported, time, content_hash, state.newest)
            ids.append(f"{prefix}-{time}-{crc32(fetches[row].encode(), text):08x}")
        else:
            forgotten = reports.is_forgotten(state.reported, links[row], time)
            if usable[row]:
                state.newest = max(state.newest, time)
                reports.reach(state.reported, links[row], time)
            found = reports.live(state.reported, links[row], time, content_hash, state.newest)
            if found is None and usable[row]:
                repeated.setdefault(symbol, []).append(row)
            elif found and usable[row] and forgotten:
                doubtful[row] = FORGOTTEN
            elif found and found.count == 1 and 0 < time <= state.reported.floor and usable[row]:
                doubtful[row] = DOUBT
            ids.append(f"{prefix}-{time}-{_ordinal(text, found):08x}")
        reports.forget(state.reported, RECENT, MAX_RECENT, state.newest, RECENT_US)
    keep = usable.copy()
    for rows in (*repeated.values(), list(doubtful)):
        keep[rows] = False
    events = [duplicates(columns, rows) for rows in repeated.values()]
    shown_by = [rows[-1] for rows in repeated.values()]
    return Checked(keep, ids, events, shown_by, new, np.zeros(len(columns), np.int64), doubtful)


def _ordinal(text: int, found: Reported | None) -> int:
    return crc32(b"|%d" % (found.count - 1), text) if found and found.count > 1 else text
