"""What a comparison of a candle with the exchange's own kline found, as a JSON record of its topic."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Agreement(StrEnum):
    """What a comparison found."""

    EQUAL = "equal"
    DIFFERENT = "different"
    NOT_COMPARABLE = "not_comparable"


class KlineCheck(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comparison of one revision of a final candle; open_time in ms, checked_time in µs since 1970.

    `fields` are those that differ, with our values and the exchange's, in the same order.
    """

    exchange: str
    symbol: str
    canonical_symbol: str
    timeframe: str
    open_time: int
    revision: int
    status: Agreement
    checked_time: int
    reason: str = ""
    fields: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
