"""A window's trades, put together from its minutes, and the certificate of its candle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k2stream.certificates import digest, ranges
from k2stream.certificates.minute import Minute, Noted, Stretch
from k2stream.certificates.ranges import Ids
from k2stream.model.candle import Candle
from k2stream.model.certificate import Certificate, FeedSpan, IdRange, RawRange, Revision, RevisionCause
from k2stream.model.decimals import plain

PRICES = ("open", "high", "low", "close", "volume", "quote_volume")

LOST = "the certifier did not have all of its trades"


class WindowTrades:
    """The trades of a window from its minutes, ascending; `before` is the last minute with trades before."""

    def __init__(self, minutes: Sequence[Minute], before: Minute | None = None) -> None:
        self.minutes = minutes
        self._before = before
        self.records = sum(minute.records for minute in minutes)
        self.raw_offset = max((minute.raw_offset for minute in minutes), default=-1)
        self.fetched = sum(minute.fetched.records for minute in minutes)

    def are_of(self, candle: Candle) -> bool:
        """Whether they are the trades of a final candle: as many records, up to the same raw offset."""
        return (
            self.records + 1 == candle.revision
            and self.raw_offset == candle.raw_offset
            and sum(minute.trade_count for minute in self.minutes) == candle.trade_count
        )

    def sha256(self, timeframe: str) -> str:
        """The digest of the candle's trades, in hexadecimal."""
        if timeframe == "1m":
            return self.minutes[0].digest.hex()
        return digest.of_minutes((m.open_time, m.records, m.digest) for m in self.minutes).hex()

    def ids(self, counted: bool) -> dict[str, Any]:
        """The fields of the ids; `counted` when no id of the exchange may be left out."""
        low = min((minute.low_id for minute in self.minutes if minute.low_id), default=None)
        high = max((minute.high_id for minute in self.minutes), default=0) or None
        found: dict[str, Any] = {"first_id": low, "last_id": high}
        if not counted:
            return found | dict.fromkeys(("missing", "missing_before", "filled"))
        mine = ranges.merged(minute.ids for minute in self.minutes)
        return found | {
            "missing": _shown(ranges.holes(mine)),
            "missing_before": _shown(before(self._before.ids if self._before else [], mine)),
            "filled": _shown(ranges.merged(minute.filled for minute in self.minutes)),
        }

    def raw(self) -> dict[str, RawRange | None]:
        """The fields of the raw offsets."""
        kinds = {"live": [m.live for m in self.minutes], "fetched": [m.fetched for m in self.minutes]}
        return {name: _joined(stretches) for name, stretches in kinds.items()}


def before(earlier: Sequence[Ids], mine: Sequence[Ids]) -> list[Ids]:
    """The ids missing between the last of an earlier minute and a window's first, by numbering."""
    highest = {numbering: last for numbering, _, last in earlier}  # ascending: the last of each stays
    first: dict[str, int] = {}
    for numbering, low, _ in mine:
        first.setdefault(numbering, low)
    both = (
        (numbering, highest[numbering] + 1, low - 1)
        for numbering, low in first.items()
        if numbering in highest
    )
    return [item for item in both if item[1] <= item[2]]


def _shown(found: Any) -> tuple[IdRange, ...]:
    return tuple(IdRange(first, last) for _, first, last in found)


def _joined(stretches: Sequence[Stretch]) -> RawRange | None:
    some = [stretch for stretch in stretches if stretch.records]
    if not some:
        return None
    lowest, highest = min(stretch.first for stretch in some), max(stretch.last for stretch in some)
    return RawRange(lowest, highest, sum(stretch.records for stretch in some))


def cause(trades: WindowTrades, noted: Sequence[Noted], feed: Sequence[FeedSpan] | None) -> RevisionCause:
    """Why a candle has a new final revision, whose trades are known."""
    if trades.fetched == (noted[-1].fetched if noted else 0):
        return RevisionCause.LATE if noted else RevisionCause.TRADE
    if feed is None:
        return RevisionCause.UNKNOWN
    return RevisionCause.GAP_FILLED if feed else RevisionCause.BACKFILL


def certificate(
    candle: Candle,
    trades: WindowTrades,
    noted: Sequence[Noted],
    feed: tuple[FeedSpan, ...] | None,
    raw_topic: str,
    *,
    counted: bool,
) -> Certificate:
    """The certificate of a final candle; without digest and trades when `trades` are not those of it."""
    whole = trades.are_of(candle)
    held = trades if whole else WindowTrades([])
    fields: dict[str, Any] = {name: plain(getattr(candle, name)) for name in PRICES}
    fields |= held.ids(counted and whole) | held.raw()
    return Certificate(
        exchange=candle.exchange,
        symbol=candle.symbol,
        canonical_symbol=candle.canonical_symbol,
        timeframe=candle.timeframe,
        open_time=candle.open_time,
        close_time=candle.close_time,
        revision=candle.revision,
        trade_count=candle.trade_count,
        records=candle.revision - 1,
        first_trade_time=candle.first_trade_time,
        last_trade_time=candle.last_trade_time,
        raw_topic=raw_topic,
        raw_partition=candle.raw_partition,
        raw_offset=candle.raw_offset,
        feed=feed,
        revisions=tuple(Revision(n.revision, n.time, RevisionCause(n.cause), n.raw_offset) for n in noted),
        sha256=held.sha256(candle.timeframe) if whole else "",
        reason="" if whole else LOST,
        **fields,
    )
