"""Canonical trades to candles: folded into the tables, published by revision, served over REST."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from faust.types import TP

from k2stream import deadletter, instruments, metrics, topics
from k2stream import settings as settings_module
from k2stream.app import create_app, is_ready
from k2stream.avro import registry
from k2stream.batch import BatchSchema, RecordBatch
from k2stream.candles import records
from k2stream.candles.partition import CandlePartition
from k2stream.candles.publisher import CandlePublisher
from k2stream.clickhouse.candles import HotTier
from k2stream.history import reader as history
from k2stream.iceberg.candles import ColdTier
from k2stream.model import clock
from k2stream.model.candle import TIMEFRAMES
from k2stream.tables import ohlcv
from k2stream.web.health import FeedHealth
from k2stream.web.pages import add_pages

CLOCK_SECONDS = 0.5

settings = settings_module.get()
app = create_app("candles")
source = app.topic(topics.NORMALIZED, schema=BatchSchema())
tables = ohlcv.declare(app, settings.kafka.normalized_partitions)
listed = instruments.load(settings.feeds.instruments_file)
native = {item.key: item.symbol for item in listed}

partitions: dict[int, CandlePartition] = {}
schema_ids: dict[str, int] = {}


async def send(topic: str, partition: int, keys: Any, values: Any) -> None:
    """Through the worker's producer."""
    producer: Any = app.producer
    await producer.send_columns(topic, partition, keys, values)


publisher = CandlePublisher(
    send,
    schema_ids,
    lambda key: native.get(key, key.partition(":")[2]),
    settings.candles.emit_seconds,
    time.monotonic,
)
health = FeedHealth()
tiers = HotTier(settings.clickhouse), ColdTier(settings.iceberg)
add_pages(app, tables, partitions, listed, settings, health, history.of(settings.candles, *tiers))


async def register() -> None:
    """Register the schemas of what is written here."""
    candle = (registry.register(topics.ohlcv(name), "candle") for name in TIMEFRAMES)
    _, *ids = await asyncio.gather(registry.register(topics.LATE, "trade"), *candle)
    schema_ids.update(zip(TIMEFRAMES, ids, strict=True))


app.preparations.append(register)


@app.agent(source)
async def candles(stream: Any) -> None:
    """Fold each batch into the windows of its partition."""
    async for batch in stream:
        apply(batch)
        await publisher.publish()


@app.task  # type: ignore[untyped-decorator]
async def watch_feeds() -> None:
    """Follow the feed events: each candle says whether its feed was healthy."""
    await health.follow(settings.kafka)


def apply(batch: RecordBatch) -> None:
    """Tables and what is held to be published change in one instant: no flush comes in between."""
    now = clock.now_us()
    good, trades, letters = records.read(batch)
    changes = partitions[batch.tp.partition].apply(trades, now)
    publisher.hold(batch.tp.partition, changes.updated)
    for letter in letters.values():
        publisher.hold_record(topics.DLQ, letter.topic.encode(), deadletter.encode(letter))
        metrics.REJECTED.labels(letter.exchange, "candles").inc()
    for row in changes.late.tolist():
        publisher.hold_record(topics.LATE, good.keys[row] or b"", good.values[row] or b"")
        metrics.LATE_TRADES.labels(trades.keys[trades.key[row]].partition(":")[0]).inc()
    for row in changes.ahead.tolist():
        metrics.TRADES_AHEAD.labels(trades.keys[trades.key[row]].partition(":")[0]).inc()
    metrics.REPLAYED.labels("candles").inc(changes.replayed)
    metrics.observe_latency("candle", (clock.now_us() - trades.receive_time) / 1e6)


@tables.progress.on_recover
async def recovered() -> None:
    """Index the windows of the partitions this worker now has; what stays is neither lost nor read again."""
    now = clock.now_us()
    active = tables.progress.active_partitions
    publisher.forget(active)
    partitions.clear()
    for number in active:
        partitions[number] = CandlePartition(
            tables.stores(number),
            tables.progress_store(number),
            grace=settings.candles.grace_us,
            idle=settings.candles.idle_us,
            retention=settings.candles.retention,
            least=tables.least_retention(number, settings.candles.retention),
            now=now,
        )
    producer: Any = app.producer
    producer.before_flush(drain)


async def drain() -> None:
    """Before a flush of the tables: nothing of what they hold is unpublished."""
    await publisher.drain()
    if is_ready(app):
        for partition in partitions.values():
            partition.expire()


@app.task  # type: ignore[untyped-decorator]
async def publish_regularly() -> None:
    """Send the revisions that no further batch has pushed out."""
    while True:
        await asyncio.sleep(settings.candles.emit_seconds)
        await publisher.publish()


@app.task  # type: ignore[untyped-decorator]
async def close_regularly() -> None:
    """Close by the clock what no trade closes."""
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        if is_ready(app):
            close_silent()
            await publisher.publish()


def close_silent() -> None:
    """Close silent windows of the partitions that are read to their end; count what stays open."""
    consumer: Any = app.consumer
    now = clock.now_us()
    for number, partition in partitions.items():
        if consumer.remaining(TP(topics.NORMALIZED, number)) == 0:
            publisher.hold(number, partition.close_silent(now))
    open_windows = [partition.windows.open_counts() for partition in partitions.values()]
    for timeframe in TIMEFRAMES:
        metrics.OPEN_WINDOWS.labels(timeframe).set(sum(counts[timeframe] for counts in open_windows))
