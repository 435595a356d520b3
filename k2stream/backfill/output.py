"""Publishes fetched trades and feed events as records."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence

from k2stream import deadletter, metrics, topics
from k2stream.deadletter import DeadLetter
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import Past
from k2stream.feed.columns import Columns
from k2stream.feed.publisher import Publisher
from k2stream.model import clock, events
from k2stream.model.events import FeedEvent
from k2stream.model.trade import Reject
from k2stream.settings import KafkaSettings

log = logging.getLogger(__name__)


class Output:
    """Publishes raw records, as connection `<exchange>-rest-<hex>`, dead letters and feed events."""

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
        """Publish trades, or a dead letter for one that fits no record; returns when all are durable."""
        if not trades:
            return
        columns: dict[tuple[str, int], Columns] = {}
        large: list[Past] = []
        now = self._now_us()
        for item in trades:
            partition = topics.partition_of(item.trade.symbol, self._partitions)
            value = raw.record(item.trade, now, self.connection, self._sequence, backfilled=True)
            if len(value) > topics.MAX_RAW_BYTES:
                large.append(item)
                continue
            column = columns.setdefault((topics.raw(self._exchange), partition), Columns())
            column.append(item.trade.symbol.encode(), value, now)
            self._sequence += 1
        await self._publisher.publish(columns)
        metrics.BACKFILLED.labels(self._exchange).inc(len(trades) - len(large))
        for item in large:
            cause = f"trade larger than {topics.MAX_RAW_BYTES} bytes"
            await self.rejects(item.trade.symbol, [Reject(cause, item.trade.body)])

    async def rejects(self, symbol: str, rejects: Sequence[Reject]) -> None:
        """Publish dead letters for rows of a symbol that cannot be read; returns when they are durable."""
        if not rejects:
            return
        column, now = Columns(), self._now_us()
        for reject in rejects:
            said = f"{symbol}: a row that REST returned cannot be read: {reject.cause}"
            cause, original = deadletter.shortened(said, reject.original)
            letter = DeadLetter(
                cause=cause,
                exchange=self._exchange,
                time=now,
                original=original,
                stage="ingest",
                connection=self.connection,
            )
            column.append(self._exchange.encode(), deadletter.encode(letter), now)
        await self._publisher.publish({(topics.DLQ, 0): column})
        metrics.REJECTED.labels(self._exchange, "ingest").inc(len(rejects))
        log.warning("%s: %d dead letters: %s", self._exchange, len(rejects), cause, extra={"symbol": symbol})

    async def event(self, event: FeedEvent) -> None:
        """Publish a feed event; returns when it is durable."""
        column = Columns()
        column.append(self._exchange.encode(), events.encode(event), event.time)
        await self._publisher.publish({(topics.FEED_EVENTS, 0): column})
