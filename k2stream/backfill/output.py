"""Publishes fetched trades and feed events as records."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from k2stream import metrics, topics
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Past
from k2stream.feed.columns import Columns
from k2stream.feed.publisher import Publisher
from k2stream.model import clock, events
from k2stream.model.events import FeedEvent
from k2stream.settings import KafkaSettings


class Output:
    """Publishes to the raw topic, as connection `<exchange>-rest-<hex>`, and to the feed-events topic."""

    def __init__(
        self,
        exchange: str,
        publisher: Publisher,
        settings: KafkaSettings,
        now_us: Callable[[], int] = clock.now_us,
    ) -> None:
        self.connection = f"{exchange}{raw.FETCHED}{secrets.token_hex(4)}"
        self._exchange = exchange
        self._publisher = publisher
        self._partitions = settings.raw_partitions(exchange)
        self._now_us = now_us
        self._sequence = 0

    async def trades(self, trades: Sequence[Past]) -> None:
        """Publish trades; returns when they are durable."""
        if not trades:
            return
        columns: dict[tuple[str, int], Columns] = {}
        now = self._now_us()
        for item in trades:
            partition = topics.partition_of(item.trade.symbol, self._partitions)
            value = raw.record(item.trade, now, self.connection, self._sequence, backfilled=True)
            column = columns.setdefault((topics.raw(self._exchange), partition), Columns())
            column.append(item.trade.symbol.encode(), value, now)
            self._sequence += 1
        await self._publisher.publish(columns)
        metrics.BACKFILLED.labels(self._exchange).inc(len(trades))

    async def event(self, event: FeedEvent) -> None:
        """Publish a feed event; returns when it is durable."""
        column = Columns()
        column.append(self._exchange.encode(), events.encode(event), event.time)
        await self._publisher.publish({(topics.FEED_EVENTS, 0): column})
