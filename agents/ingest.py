"""Publishes one exchange's WebSocket feed to its raw topic: `k2 worker ingest --exchange NAME`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from k2stream import backfill, exchanges, instruments
from k2stream.app import create_app
from k2stream.feed import Columns, Feed
from k2stream.model.errors import ConfigError
from k2stream.settings import current

DRAIN_SECONDS = 3.0  # to publish received frames at a stop; after that Kafka counts as unavailable

app = create_app("ingest")
app.producer_only = True  # this role consumes no topic
settings = current()
if not settings.worker.exchange:
    raise ConfigError(f"K2_EXCHANGE is not set; use one of {', '.join(exchanges.REGISTRY)}")


class WorkerPublisher:
    """Publishes through the worker's producer (idempotent, acks=all); raises ProducerSendError."""

    async def publish(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        """Publish the columns; returns once the brokers have acknowledged every record."""
        for (topic, partition), column in columns.items():
            await app.producer.send_columns(topic, partition, column.keys, column.values)
        await app.producer.barrier()


exchange = exchanges.get(settings.worker.exchange)
listed = instruments.load(settings.feeds.instruments_file).for_exchange(exchange.name)
feed = Feed(exchange, listed, WorkerPublisher(), settings.feeds, settings.kafka.raw_partitions(exchange.name))
filler = backfill.filler(exchange, listed, WorkerPublisher(), settings, feed)


@app.task  # type: ignore[untyped-decorator]
async def ingest() -> None:
    """Run the feed until the worker stops; a failed publish crashes the worker, so no record is skipped."""
    feed.up_until |= await backfill.last_up(exchange, [item.symbol for item in listed], settings.kafka)
    filling = asyncio.create_task(filler.run()) if filler else None
    try:
        await feed.run()
    finally:
        if filling:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)


@app.on_before_shutdown.connect
async def drain(*_: Any, **__: Any) -> None:
    """Publish the frames received so far, within DRAIN_SECONDS."""
    try:
        await asyncio.wait_for(feed.stop(), DRAIN_SECONDS)
    except TimeoutError:
        logging.getLogger(__name__).warning(
            "%s: received frames could not be published", settings.worker.exchange
        )
