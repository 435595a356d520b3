"""Exchanges without trade ids: these are made of what a trade is."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from k2stream.continuity.state import Checked, State, copied
from k2stream.trade import TradeColumns

RECENT_US = 1_000_000
"""How far a symbol's newest trade time must move on before identical trades are counted from 0 again."""

MAX_RECENT = 4096
"""Different contents counted per symbol at most; the one that came longest ago leaves first."""


def check(columns: TradeColumns, states: Mapping[str, State], usable: NDArray[np.bool_]) -> Checked:
    """Ids KRAKEN-<µs>-<hash8>: the hash is of the content, and of its ordinal from the second one on.

    Of a trade that was fetched later the hash is of content and fetch: its likes came long ago.
    """
    made: list[str] = []
    new: dict[str, State] = {}
    prefix = columns.exchange.upper()
    kinds = columns.vendor_data.get("orderType") or [""] * len(columns)
    rows = zip(
        columns.symbol,
        columns.timestamp,
        columns.price,
        columns.quantity,
        columns.taker_buy,
        kinds,
        columns.backfilled or [""] * len(columns),
        strict=True,
    )
    for symbol, time, price, quantity, taker_buy, kind, fetch in rows:
        state = new.get(symbol)
        if state is None:
            state = new[symbol] = copied(states.get(symbol))
        content = crc32(f"{symbol}|{price}|{quantity}|{'b' if taker_buy else 's'}|{kind}".encode())
        if fetch:
            made.append(f"{prefix}-{time}-{crc32(fetch.encode(), content):08x}")
            continue
        state.newest = max(state.newest, time)
        recent = state.recent
        _forget(recent, state.newest - RECENT_US)
        name = f"{time}-{content:08x}"
        ordinal, _ = recent.pop(name, (0, 0))
        recent[name] = (ordinal + 1, state.newest)
        if ordinal:
            name = f"{time}-{crc32(b'|%d' % ordinal, content):08x}"
        made.append(f"{prefix}-{name}")
    return Checked(usable, made, [], [], new, np.zeros(len(columns), np.int64))


def _forget(recent: dict[str, tuple[int, int]], before: int) -> None:
    """Drop the contents whose last trade came when the newest trade time was below `before`, and any excess.

    The dict is in the order of arrival, so only its head is looked at.
    """
    while recent:
        oldest = next(iter(recent))
        if recent[oldest][1] >= before and len(recent) < MAX_RECENT:
            return
        del recent[oldest]
