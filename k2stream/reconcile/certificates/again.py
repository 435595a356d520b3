"""What a certificate says, computed again: a second implementation of docs/certificates.md (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from hashlib import sha256
from itertools import chain, pairwise
from typing import Any

from k2stream.model.certificate import Certificate, IdRange, RawRange
from k2stream.reconcile.oracle.copies import OracleTrade

Trades = Sequence[OracleTrade]

_UNIT = 10**18
_MINUTE_US = 60_000_000


def of_candle(trades: Trades, of: Certificate) -> list[OracleTrade]:
    """The trades of the certified revision of a candle, in raw order."""
    first, last = of.open_time * 1000, of.close_time * 1000 + 999
    return sorted(
        (trade for trade in trades if first <= trade.timestamp <= last and trade.raw_offset <= of.raw_offset),
        key=lambda trade: trade.raw_offset,
    )


def line(trade: OracleTrade) -> str:
    """A trade's line."""
    number, offset, trade_id, timestamp, price, quantity, side, count, *_ = trade
    values = number, offset, trade_id, timestamp, plain(price), plain(quantity), side, count
    return ",".join(map(str, values)) + "\n"


def plain(scaled: int) -> str:
    """A decimal at scale 18 in plain digits."""
    whole, part = divmod(scaled, _UNIT)
    return f"{whole}.{part:018}".rstrip("0").rstrip(".")


def digest(trades: Trades, timeframe: str) -> str:
    """The digest of a candle's trades, in hexadecimal; "" without any."""
    minutes: dict[int, list[OracleTrade]] = {}
    for trade in sorted(trades, key=lambda trade: trade.raw_offset):
        minutes.setdefault(trade.timestamp // _MINUTE_US * 60_000, []).append(trade)
    chained = {opened: _chain(inside) for opened, inside in sorted(minutes.items())}
    if timeframe == "1m":
        return next(iter(chained.values()), b"").hex()
    text = "".join(f"{opened},{len(minutes[opened])},{each.hex()}\n" for opened, each in chained.items())
    return sha256(text.encode("ascii")).hexdigest() if text else ""


def _chain(trades: Iterable[OracleTrade]) -> bytes:
    found = bytes(32)
    for trade in trades:
        found = sha256(found + line(trade).encode("ascii")).digest()
    return found


def fields(trades: Trades, of: Certificate) -> Iterator[tuple[str, Any]]:
    """The fields of a certificate that its trades give, by name."""
    ordered = sorted(trades, key=_place)
    prices = [trade.price for trade in ordered]
    volume = sum(trade.quantity for trade in ordered)
    quote = sum(trade.price * trade.quantity for trade in ordered)
    yield from {
        "records": len(ordered),
        "revision": len(ordered) + 1,
        "trade_count": sum(trade.trade_count for trade in ordered),
        "open": plain(prices[0]),
        "high": plain(max(prices)),
        "low": plain(min(prices)),
        "close": plain(prices[-1]),
        "volume": plain(volume),
        "quote_volume": plain(round(Fraction(quote, _UNIT))),  # half to even, as Python rounds
        "first_trade_time": ordered[0].timestamp,
        "last_trade_time": ordered[-1].timestamp,
        "raw_offset": max(trade.raw_offset for trade in ordered),
        "live": _stretch(trade.raw_offset for trade in ordered if not trade.fetched),
        "fetched": _stretch(trade.raw_offset for trade in ordered if trade.fetched),
        "first_id": min((trade.trade_id for trade in ordered if trade.trade_id), default=None),
        "last_id": max((trade.trade_id for trade in ordered), default=0) or None,
    }.items()
    if of.filled is not None:
        yield "filled", tuple(chain.from_iterable(numbered(trade for trade in ordered if trade.fetched)))


def missing(trades: Trades) -> tuple[IdRange, ...]:
    """The ids between the lowest and the highest of the trades that none of them has, by numbering."""
    return tuple(
        IdRange(one.last + 1, two.first - 1) for inside in numbered(trades) for one, two in pairwise(inside)
    )


def missing_before(trades: Trades, earlier: Trades) -> tuple[IdRange, ...]:
    """The ids between the highest of earlier trades and a candle's lowest, by numbering."""
    both = zip(numbered(earlier), numbered(trades), strict=True)
    found = (IdRange(known[-1].last + 1, mine[0].first - 1) for known, mine in both if known and mine)
    return tuple(gap for gap in found if gap.first <= gap.last)


def numbered(trades: Iterable[OracleTrade]) -> tuple[tuple[IdRange, ...], tuple[IdRange, ...]]:
    """The ids of plain and of aggregated trades, which an exchange numbers apart."""
    ids: tuple[list[int], list[int]] = [], []
    for trade in trades:
        ids[trade.aggregated].append(trade.trade_id)
    return ranges(ids[False]), ranges(ids[True])


def ranges(ids: Iterable[int]) -> tuple[IdRange, ...]:
    """A set of ids as ascending ranges."""
    found: list[IdRange] = []
    for number in sorted(set(ids)):
        if found and found[-1].last == number - 1:
            found[-1] = IdRange(found[-1].first, number)
        else:
            found.append(IdRange(number, number))
    return tuple(found)


def _stretch(offsets: Iterable[int]) -> RawRange | None:
    found = sorted(offsets)
    return RawRange(found[0], found[-1], len(found)) if found else None


def _place(trade: OracleTrade) -> tuple[int, int, int, int]:
    time = trade.timestamp
    rough = time // 1000 * 1000 if trade.trade_id > 0 else time
    return rough, trade.trade_id, time, trade.raw_offset
