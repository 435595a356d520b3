"""Finds until when the previous worker had received each symbol's trades."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import msgspec

from k2stream import topics
from k2stream.backfill.outages import ENDS
from k2stream.backfill.retained import last_received
from k2stream.exchanges.spec import Exchange
from k2stream.kafka.reader import Reader
from k2stream.logs import place
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import EventKind, FeedEvent
from k2stream.settings import KafkaSettings

log = logging.getLogger(__name__)

_EVENT = msgspec.json.Decoder(FeedEvent)


async def last_up(exchange: Exchange, symbols: Sequence[str], settings: KafkaSettings) -> dict[str, int]:
    """Return when each symbol's feed was last known to be up, in µs since 1970; 0 for never.

    This is the receive time of the newest trade in the symbol's partition, or the start of an outage if that
    is earlier.
    """
    received = await last_received(exchange, settings)
    down = down_since([event async for event in _events(exchange.name, settings)], symbols)
    newest = {symbol: newest_of(symbol, received) for symbol in symbols}
    return {symbol: min(time, down.get(symbol, time)) for symbol, time in newest.items()}


def newest_of(symbol: str, received: Mapping[int, int]) -> int:
    """Return the time (µs) of the newest trade in a symbol's partition, from those of all partitions.

    If it has none, the symbol may have moved there from another one, whose time counts; if that has none
    either, the newest of all does: the feed was up and had subscribed to the symbol.
    """
    *earlier, own = (received[number] for number in topics.partitions_of(symbol, len(received)))
    return own or min(filter(None, earlier), default=max(received.values()))


def down_since(events: Iterable[FeedEvent], symbols: Sequence[str]) -> dict[str, int]:
    """Return the start (µs) of each symbol's outage that no later event ends; 0 if it was never up."""
    down: dict[str, int] = {}
    for event in events:
        concerned = [event.symbol] if event.symbol else symbols
        if event.kind in ENDS:
            for symbol in concerned:
                down.pop(symbol, None)
        elif event.kind in (EventKind.DISCONNECTED, EventKind.SILENCE):
            down = dict.fromkeys(concerned, event.since or event.time) | down
        elif event.kind in (EventKind.REFUSED, EventKind.WITHDRAWN):
            down = dict.fromkeys(concerned, event.since) | down
    return down


async def _events(exchange: str, settings: KafkaSettings) -> AsyncIterator[FeedEvent]:
    async with Reader(settings) as reader:
        if not await reader.exists(topics.FEED_EVENTS):
            return
        async for record in reader.read(topics.FEED_EVENTS, await reader.retained(topics.FEED_EVENTS, 1)):
            if record.key == exchange.encode():
                try:
                    yield _EVENT.decode(record.value)
                except UNREADABLE as error:
                    where = f"{topics.FEED_EVENTS} offset {record.offset}"
                    log.warning("%s is no feed event: %s", where, error, extra=place(record, record.offset))
