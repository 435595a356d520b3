"""Folds canonical trades into the candle tables, publishes each revision and serves candles over REST."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from faust.types import TP

from k2stream import instruments, topics
from k2stream.app import create_app
from k2stream.avro import registry
from k2stream.batch import BatchSchema, is_ready
from k2stream.candles.partition import CandlePartition
from k2stream.candles.publisher import CandlePublisher
from k2stream.candles.worker import CandleWorker
from k2stream.clickhouse.candles import HotTier
from k2stream.history.reader import candle_history
from k2stream.iceberg.candles import ColdTier
from k2stream.memory import keep_arrow_lean
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES
from k2stream.service.application import create
from k2stream.service.assembled import sources_of
from k2stream.service.server import Server
from k2stream.service.stream.hub import Hub
from k2stream.service.stream.records import connected
from k2stream.settings import current
from k2stream.settings.tls import server_context
from k2stream.tables import ohlcv
from k2stream.web.candles import CandleReader
from k2stream.web.health import FeedHealth
from k2stream.web.lookup import CandleLookup
from k2stream.web.pages import add_pages

CLOCK_SECONDS = 0.5

keep_arrow_lean()
app = create_app("candles")
settings = current()
source = app.topic(topics.NORMALIZED, schema=BatchSchema())
tables = ohlcv.declare(app, settings.kafka.normalized_partitions)
listed = instruments.load(settings.feeds.instruments_file)
native = {item.key: item.symbol for item in listed}

schema_ids: dict[str, int] = {}


async def send(topic: str, partition: int, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Send the records through the worker's producer."""
    await app.producer.send_columns(topic, partition, keys, values)


def restore(partition: int, now: int) -> CandlePartition:
    """The state of a partition, restored from its tables; `now` is in µs since 1970."""
    return CandlePartition(
        tables.stores(partition),
        tables.progress_store(partition),
        grace=settings.candles.grace_us,
        idle=settings.candles.idle_us,
        retention=settings.candles.retention,
        least=tables.least_retention(partition, settings.candles.retention),
        now=now,
    )


publisher = CandlePublisher(
    send,
    schema_ids,
    lambda key: native.get(key, key.partition(":")[2]),
    settings.candles.emit_seconds,
    time.monotonic,
)
worker = CandleWorker(publisher, restore, clock.now_us, app.trades_tracer)
health = FeedHealth()
tiers = HotTier(settings.clickhouse), ColdTier(settings.iceberg)
past = candle_history(settings.candles, *tiers)
reader = CandleReader(health, past, settings.candles.settled_ms, lambda: clock.now_us() // 1000)
add_pages(app, tables, worker.partitions, listed, settings, health, reader)
lookup = CandleLookup(app, tables, worker.partitions, reader, settings.kafka)
streams = Hub(settings, listed, lookup, health, connected(settings.kafka), reader.now)
sources = sources_of(settings, listed, lookup, health, lambda: is_ready(app), streams)
server = Server(
    create(sources, streams),
    settings.service.bind,
    settings.service.port,
    streams.stop,
    server_context(settings.service.tls),
)


async def listen() -> None:
    """Take the service's port before anything is started."""
    server.bind()


app.preparations.append(listen)


async def register() -> None:
    """Register the schemas of the topics that this worker writes."""
    candle = (registry.register(topics.ohlcv(name), "candle") for name in TIMEFRAMES)
    _, *ids = await asyncio.gather(registry.register(topics.LATE, "trade"), *candle)
    schema_ids.update(zip(TIMEFRAMES, ids, strict=True))


app.preparations.append(register)


@app.agent(source)
async def candles(stream: Any) -> None:
    """Fold each batch into the windows of its partition."""
    async for batch in stream:
        worker.take(batch)
        await publisher.publish()


@tables.progress.on_recover
async def recovered() -> None:
    """Restore the assigned partitions once their tables are recovered."""
    worker.recover(tables.progress.active_partitions)
    app.producer.before_flush(drain)


async def drain() -> None:
    """Publish pending revisions before the tables are flushed."""
    await worker.drain(ready=is_ready(app))


@app.task  # type: ignore[untyped-decorator]
async def watch_feeds() -> None:
    """Follow the feed events, from which REST answers report whether a candle's feed was healthy."""
    await health.follow(settings.kafka)


@app.task  # type: ignore[untyped-decorator]
async def serve() -> None:
    """Serve REST and streams to clients; Faust's own pages have a port of their own."""
    await server.run()


@app.task  # type: ignore[untyped-decorator]
async def publish_regularly() -> None:
    """Publish pending revisions when they are due, even when no further batch arrives."""
    while True:
        await asyncio.sleep(publisher.due_in())
        await publisher.publish()


@app.task  # type: ignore[untyped-decorator]
async def close_regularly() -> None:
    """Close the windows of idle symbols by the wall clock."""
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        if is_ready(app):
            worker.close_silent(read_to_end)
            await publisher.publish()


def read_to_end(partition: int) -> bool:
    """Whether the partition is fully consumed."""
    return app.consumer.remaining(TP(topics.NORMALIZED, partition)) == 0
