"""What each channel's records become: entries of a log, and the text that clients get."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from k2stream import faults, topics
from k2stream.avro import candles as candle_codec
from k2stream.avro import trades as trade_codec
from k2stream.batch import RecordBatch
from k2stream.logs import place as at
from k2stream.model import decimals
from k2stream.model.candle import Candle
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import FeedEvent
from k2stream.model.instrument import Instruments
from k2stream.model.trade import BACKFILLED
from k2stream.service.items import candle_item
from k2stream.service.stream.entries import Log, Place, StreamEntry
from k2stream.service.stream.latest import LatestLog
from k2stream.service.stream.ring import RingLog
from k2stream.web.health import FeedHealth

logger = logging.getLogger(__name__)

Columns = TypeVar("Columns")

WHOLE = "*"
"""The symbol of events that concern all symbols of an exchange."""

_json = msgspec.json.Encoder()


class Channel(Protocol):
    """A topic that is followed."""

    @property
    def topic(self) -> str:
        """The topic."""
        ...

    @property
    def conflated(self) -> bool:
        """Whether the newest revision replaces an older one that was not sent."""
        ...

    def log(self) -> Log:
        """An empty log of its entries."""
        ...

    def entries(self, batch: RecordBatch) -> list[StreamEntry]:
        """The entries of a batch; what cannot be read is left out, and logged."""
        ...

    def text(self, entry: StreamEntry) -> bytes:
        """The members of an entry's message, up to the resume token."""
        ...


class PushedTrade(msgspec.Struct, frozen=True):
    """A canonical trade; times are µs since 1970, decimals are strings with all their digits."""

    trade_id: str
    timestamp: int
    price: str
    quantity: str
    side: str
    """The taker's side, BUY or SELL."""
    trade_count: int
    """Trades of the exchange that this one stands for: above 1 for aggregated trades."""
    receive_time: int
    backfilled: bool
    raw_partition: int
    raw_offset: int


@dataclass(frozen=True, slots=True)
class CandleChannel:
    """Revisions of candles of one stored timeframe."""

    timeframe: str
    health: FeedHealth
    conflated: bool = True

    @property
    def topic(self) -> str:
        """The candle topic."""
        return topics.ohlcv(self.timeframe)

    def log(self) -> Log:
        """An empty log of its entries."""
        return LatestLog()

    def entries(self, batch: RecordBatch) -> list[StreamEntry]:
        """The candles of a batch."""
        good, found = _readable(batch, lambda part: candle_codec.decode(part.values))
        partition = batch.tp.partition
        return [
            candle_entry(candle, partition, Place(*place))
            for candle, *place in zip(found, good.offsets.tolist(), good.timestamps.tolist(), strict=True)
        ]

    def text(self, entry: StreamEntry) -> bytes:
        """The candle, and what it is of."""
        return candle_text(entry.value, self.timeframe, self.health)


def candle_entry(candle: Candle, partition: int, place: Place) -> StreamEntry:
    """A candle as an entry."""
    key = f"{candle.exchange}:{candle.canonical_symbol}"
    return StreamEntry(key, partition, place, candle.open_time, candle.revision, candle)


def candle_text(candle: Candle, timeframe: str, health: FeedHealth) -> bytes:
    """The members of a candle's message, up to the resume token."""
    of = _of("candles", candle.exchange, candle.canonical_symbol) + b',"timeframe":' + _json.encode(timeframe)
    return of + b',"candle":' + _json.encode(candle_item(candle, health)) + b',"resume":"'


class TradeChannel:
    """Canonical trades."""

    topic = topics.NORMALIZED
    conflated = False

    def log(self) -> Log:
        """An empty log of its entries."""
        return RingLog()

    def entries(self, batch: RecordBatch) -> list[StreamEntry]:
        """The trades of a batch."""
        good, found = _readable(batch, lambda part: trade_codec.decode(part.values))
        if not len(good):
            return []
        rows = zip(
            good.values,
            found.exchange.tolist(),
            found.canonical_symbol.tolist(),
            good.offsets.tolist(),
            good.timestamps.tolist(),
            found.trade_id.tolist(),
            found.timestamp.tolist(),
            decimals.to_strings(decimals.from_fixed16(found.price)),
            decimals.to_strings(decimals.from_fixed16(found.quantity)),
            found.taker_buy.tolist(),
            found.trade_count.tolist(),
            found.receive_time.tolist(),
            found.trade_conditions.tolist(),
            found.raw_partition.tolist(),
            found.raw_offset.tolist(),
            strict=True,
        )
        return [_trade(batch.tp.partition, *row) for row in rows]

    def text(self, entry: StreamEntry) -> bytes:
        """The trade, and what it is of."""
        exchange, _, symbol = entry.key.partition(":")
        return _of("trades", exchange, symbol) + b',"trade":' + _json.encode(entry.value) + b',"resume":"'


def _trade(
    partition: int, record: bytes, exchange: str, symbol: str, offset: int, published: int, *fields: Any
) -> StreamEntry:
    trade_id, timestamp, price, quantity, buy, count, received, conditions, raw_partition, raw_offset = fields
    trade = PushedTrade(
        trade_id,
        timestamp,
        decimals.shortened(price),
        decimals.shortened(quantity),
        "BUY" if buy else "SELL",
        count,
        received,
        BACKFILLED in conditions,
        raw_partition,
        raw_offset,
    )
    place = Place(offset, published)
    return StreamEntry(
        f"{exchange}:{symbol}", partition, place, timestamp // 1000, raw_offset, trade, record=record
    )


@dataclass(frozen=True, slots=True)
class HealthChannel:
    """Events of feeds: connections, gaps, what was fetched."""

    instruments: Instruments
    topic: str = topics.FEED_EVENTS
    conflated: bool = False

    def log(self) -> Log:
        """An empty log of its entries."""
        return RingLog()

    def entries(self, batch: RecordBatch) -> list[StreamEntry]:
        """The events of a batch."""
        found: list[StreamEntry] = []
        for value, offset, time in zip(
            batch.values, batch.offsets.tolist(), batch.timestamps.tolist(), strict=True
        ):
            try:
                event = msgspec.json.decode(value or b"", type=FeedEvent)
            except UNREADABLE as error:
                concerned = at(batch.tp, offset)
                logger.warning(
                    "%s offset %d is not a feed event: %s", self.topic, offset, error, extra=concerned
                )
                continue
            known = self.instruments.find(event.exchange, event.symbol) if event.symbol else None
            symbol = known.canonical if known else event.symbol or WHOLE
            key = f"{event.exchange}:{symbol}"
            found.append(
                StreamEntry(key, batch.tp.partition, Place(offset, time), event.time // 1000, offset, event)
            )
        return found

    def text(self, entry: StreamEntry) -> bytes:
        """The event, and what it is of."""
        exchange, _, symbol = entry.key.partition(":")
        return _of("health", exchange, symbol) + b',"event":' + _json.encode(entry.value) + b',"resume":"'


def _of(channel: str, exchange: str, symbol: str) -> bytes:
    return b'"channel":%b,"exchange":%b,"symbol":%b' % (
        _json.encode(channel),
        _json.encode(exchange),
        _json.encode(symbol),
    )


def _readable(
    batch: RecordBatch, decode: Callable[[RecordBatch], Sequence[Any] | Any]
) -> tuple[RecordBatch, Any]:
    good, found, causes = faults.read(batch, decode)
    for row, cause in causes.items():
        where = f"{batch.tp.topic}[{batch.tp.partition}] offset {batch.offsets[row]}"
        logger.error("%s cannot be pushed: %s", where, cause, extra=at(batch.tp, batch.offsets[row]))
    return good, found
