"""Compares a candle with the exchange's kline of the same window, digit for digit. Pure."""

from __future__ import annotations

from decimal import Decimal

from k2stream.agreement.pending import PendingCheck
from k2stream.exchanges.rest.klines import Kline
from k2stream.model.decimals import plain
from k2stream.model.kline_checks import Agreement, KlineCheck

COMPARED = ("open", "high", "low", "close", "volume", "trade_count", "taker_buy_volume")
"""The fields that are compared, if the exchange says them."""

NO_KLINE = "the exchange has no kline of this window"
PARTIAL = "partial: our first trade of this symbol is in this window"


def compare(waiting: PendingCheck, kline: Kline | None, *, partial: bool, now: int) -> KlineCheck:
    """The result for a candle and its kline, None for none; `now` in µs since 1970.

    `partial` windows are those that our trades begin in: if such a candle differs, nothing follows from it.
    """
    if kline is None:
        return result(waiting, Agreement.NOT_COMPARABLE, PARTIAL if partial else NO_KLINE, now)
    found = [(name, getattr(waiting, name), getattr(kline, name)) for name in COMPARED]
    wrong = [(name, ours, theirs) for name, ours, theirs in found if theirs is not None and ours != theirs]
    if not wrong:
        return result(waiting, Agreement.EQUAL, "", now)
    status = Agreement.NOT_COMPARABLE if partial else Agreement.DIFFERENT
    return result(waiting, status, PARTIAL if partial else "", now, wrong)


def result(
    waiting: PendingCheck,
    status: Agreement,
    reason: str,
    now: int,
    wrong: list[tuple[str, Decimal | int, Decimal | int]] | None = None,
) -> KlineCheck:
    """The result for a candle; `wrong` has name, our and their value of each differing field."""
    names, ours, theirs = zip(*wrong, strict=True) if wrong else ((), (), ())
    return KlineCheck(
        exchange=waiting.exchange,
        symbol=waiting.symbol,
        canonical_symbol=waiting.canonical_symbol,
        timeframe=waiting.timeframe,
        open_time=waiting.open_time,
        revision=waiting.revision,
        status=status,
        checked_time=now,
        reason=reason,
        fields=names,
        ours=tuple(map(_text, ours)),
        theirs=tuple(map(_text, theirs)),
    )


def _text(value: Decimal | int) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
