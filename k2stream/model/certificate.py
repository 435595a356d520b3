"""The certificate of a candle: its trades' places, ids and digest (docs/certificates.md)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from k2stream.model import clock

VERSION = 1


class RevisionCause(StrEnum):
    """Why a revision of a final candle exists: the kind of the trades that came since the one before."""

    TRADE = "trade"  # the first final revision: live trades only
    LATE = "late"  # live trades that came after the window was closed by the clock
    GAP_FILLED = "gap filled"  # trades fetched for a time in which the feed was down or lost trades
    BACKFILL = "backfill"  # trades fetched for a time in which the feed reported no loss
    UNKNOWN = "unknown"  # the certifier did not have the trades


class IdRange(msgspec.Struct, frozen=True, gc=False):
    """Ids `first` to `last`, both included."""

    first: int
    last: int


class RawRange(msgspec.Struct, frozen=True, gc=False):
    """The first and last raw offset of a candle's live or fetched trades, and how many of them there are."""

    first: int
    last: int
    records: int


class FeedSpan(msgspec.Struct, frozen=True, gc=False):
    """A part of a candle's time in which its feed was not up (yet), or lost trades, in µs since 1970."""

    since: int
    until: int


class Revision(msgspec.Struct, frozen=True, gc=False):
    """A final revision of a candle: when it was published (ms since 1970), why, and its last raw offset."""

    revision: int
    time: int
    cause: RevisionCause
    raw_offset: int


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a final candle was folded from. Times are ms since 1970 but where µs are named; prices are text.

    `missing` are ids between the candle's first and last that it lacks, `missing_before` those between its
    first id and the last one of an earlier candle, `filled` its ids that were fetched later. They are None
    when the exchange's ids do not tell. `live` and `fetched` are ranges of the raw topic's partition. `feed`
    is None when the feed's past was not known. `sha256` is the digest of its trades, "" with the `reason`
    when the certifier did not have them all.
    """

    version: int = VERSION
    exchange: str
    symbol: str
    canonical_symbol: str
    timeframe: str
    open_time: int
    close_time: int
    revision: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trade_count: int
    records: int
    first_trade_time: int
    last_trade_time: int
    first_id: int | None
    last_id: int | None
    missing: tuple[IdRange, ...] | None
    missing_before: tuple[IdRange, ...] | None
    filled: tuple[IdRange, ...] | None
    raw_topic: str
    raw_partition: int
    raw_offset: int
    live: RawRange | None
    fetched: RawRange | None
    feed: tuple[FeedSpan, ...] | None
    revisions: tuple[Revision, ...]
    sha256: str
    reason: str = ""

    @property
    def key(self) -> str:
        """The key of its record: exchange:BASE/QUOTE."""
        return f"{self.exchange}:{self.canonical_symbol}"

    @property
    def name(self) -> str:
        """The candle, for people: exchange, symbol, timeframe and open time."""
        opened = clock.format_utc(self.open_time)[:16]
        return f"{self.exchange} {self.canonical_symbol} {self.timeframe} {opened}"


def encode(certificate: Certificate) -> bytes:
    """The record's JSON."""
    return msgspec.json.encode(certificate)


def decode(data: bytes) -> Certificate:
    """Read a record. Raises msgspec.DecodeError, a ValueError, for anything else."""
    return _DECODER.decode(data)


_DECODER = msgspec.json.Decoder(Certificate)
