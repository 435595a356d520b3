"""Explains a candle that differs from its exchange's kline, by what is stored of its window. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from k2stream.model.decimals import plain


class Evidence(NamedTuple):
    """What is stored of a window now: its newest candle, its canonical trades, and the ids around it.

    `trades` counts as the exchange does; `previous_id` and `next_id` are the nearest trade ids outside of the
    window, None where there are none or ids may skip; `ids` counts the different ones inside.
    """

    revision: int | None
    trade_count: int
    trades: int
    volume: Decimal
    high: Decimal
    low: Decimal
    fetched: int
    ids: int = 0
    previous_id: int | None = None
    next_id: int | None = None

    @property
    def missing(self) -> int | None:
        """How many ids are missing in the window or at its edges; None if ids do not tell."""
        if self.previous_id is None or self.next_id is None:
            return None
        return max(self.next_id - self.previous_id - 1 - self.ids, 0)


def explain(revision: int, fields: Sequence[str], evidence: Evidence) -> Iterator[str]:
    """What explains the difference of a revision of a candle in some fields, as lines of text."""
    if evidence.revision is not None and evidence.revision > revision:
        yield f"the candle has been revised since: {revision} is now {evidence.revision}"
    if not evidence.trades:
        yield "the trades of this window are not in ClickHouse any more"
        return
    if evidence.missing:
        between = f"{evidence.previous_id} and {evidence.next_id}"
        yield f"{evidence.missing} trade ids are missing between {between}"
    late = evidence.trades - evidence.trade_count
    if late > 0:
        yield f"{late} trades came after the grace: they are stored, and not in the candle"
    if evidence.fetched:
        yield f"{evidence.fetched} trades were missed, and fetched afterwards"
    if evidence.missing or late > 0:
        return
    ids = "no id is missing" if evidence.missing == 0 else "ids do not tell whether one is missing"
    yield (
        f"our {evidence.trades} trades of this window have volume {plain(evidence.volume)}, "
        f"high {plain(evidence.high)} and low {plain(evidence.low)}, and {ids}"
    )
    if evidence.missing == 0:
        yield f"the exchange's {', '.join(fields)} is not what its own trades give"
