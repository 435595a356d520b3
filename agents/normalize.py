"""Normalizes raw topics into the normalized topic, dead letters and feed events.

There is one agent and one positions table per exchange.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial
from typing import Any

import msgspec
import numpy as np

from k2stream import deadletter, exchanges, instruments, metrics, topics
from k2stream.app import create_app
from k2stream.avro import registry
from k2stream.batch import BatchSchema, RecordBatch
from k2stream.exchanges.spec import Exchange
from k2stream.model import clock, events
from k2stream.model.errors import StateRefused, mending
from k2stream.model.events import EventKind
from k2stream.model.precision import fraction_digits
from k2stream.model.roles import Role
from k2stream.normalizer import Normalized, normalize
from k2stream.settings import current
from k2stream.tables import positions
from k2stream.tables.orphans import TradesBeyond
from k2stream.tracing import FIRST, Tracer, traced

app = create_app("normalize")
settings = current()
listed = instruments.load(settings.feeds.instruments_file)
digits: Counter[tuple[str, str]] = Counter()  # the most fraction digits of prices, by (exchange, symbol)
totals: Counter[tuple[str, str]] = Counter()  # since the worker started, by (exchange, outcome)
logger = logging.getLogger(__name__)


def declare(exchange: Exchange) -> None:
    """Declare the agent and the positions table of one exchange."""
    table = positions.declare(app, exchange.name, settings.kafka.raw_partitions(exchange.name))
    canonical_of = instruments.canonical_of(exchange, listed)
    publishing, published = asyncio.Lock(), TradesBeyond(settings.kafka, exchange, table)

    async def agent(stream: Any) -> None:
        schema_id = await registry.register(topics.NORMALIZED, "trade")
        async for batch in stream:
            done = normalize(
                exchange,
                batch,
                partial(table.get_from, batch.tp.partition),
                canonical_of,
                schema_id=schema_id,
                process_time=clock.now_us(),
            )
            async with publishing:
                await publish(exchange.name, batch, done)
                table.put_many(batch.tp.partition, done.positions)  # last: from now on replays are skipped
            measure(exchange.name, done)
            if app.trades_tracer is not None:
                trace(app.trades_tracer, batch, done)

    @table.on_recover
    async def check() -> None:
        """Refuse to read on in a raw log that was cut below what has been published."""
        found = await published.orphans(table.active_partitions)
        for number, seen in found.items():
            topic = topics.raw(exchange.name)
            raise StateRefused(f"{topic}[{number}]: {seen}; {mending(topic, Role.NORMALIZE)}")
        if await published.begin():
            await app.producer.barrier()
        app.producer.before_flush(mark)

    async def mark() -> None:
        """Note from where on there may be trades beyond the table's position, unless one is on its way."""
        if not publishing.locked():
            published.mark(app.producer.delivered)

    agent.__doc__ = f"Canonical trades of {exchange.name}."
    app.agent(app.topic(topics.raw(exchange.name), schema=BatchSchema()), name=f"normalize_{exchange.name}")(
        agent
    )


async def publish(exchange: str, batch: RecordBatch, done: Normalized) -> None:
    """Publish the results of a batch; a canonical trade keeps the partition number of its raw record."""
    send = app.producer.send_columns
    if done.values:
        await send(topics.NORMALIZED, batch.tp.partition, done.keys, done.values)
    if done.dead_letters:
        letters = [deadletter.encode(letter) for letter in done.dead_letters]
        await send(topics.DLQ, 0, [batch.tp.topic.encode()] * len(letters), letters)
    if done.events:
        found = [msgspec.structs.replace(event, simulated=settings.feeds.simulated) for event in done.events]
        await send(topics.FEED_EVENTS, 0, [exchange.encode()] * len(found), list(map(events.encode, found)))


def measure(exchange: str, done: Normalized) -> None:
    """Update the metrics for a batch; latency runs from frame receipt to the hand-over to the producer."""
    totals[exchange, "normalized"] += len(done.values)
    totals[exchange, "rejected"] += len(done.dead_letters)
    metrics.NORMALIZED_TRADES.labels(exchange).inc(len(done.values))
    metrics.REJECTED.labels(exchange, "normalize").inc(len(done.dead_letters))
    metrics.DUPLICATES.labels(exchange).inc(done.counted(EventKind.DUPLICATE))
    metrics.GAPS.labels(exchange).inc(done.counted(EventKind.GAP))
    metrics.REPLAYED.labels("normalize").inc(done.replayed)
    metrics.observe_latency("normalized", (clock.now_us() - done.receive_time) / 1e6)
    metrics.RECEIVE_LAG.observe(exchange, done.receive_lag / 1e6)
    for symbol, (timestamp, _, price) in done.newest.items():
        metrics.LAST_TRADE.labels(exchange, symbol).set(timestamp / 1e6)
        metrics.LAST_PRICE.labels(exchange, symbol).set(float(price))
        digits[exchange, symbol] = max(digits[exchange, symbol], fraction_digits([price]))
        metrics.PRICE_DIGITS.labels(exchange, symbol).set(digits[exchange, symbol])
    for timestamp, receive_time, _ in list(done.newest.values())[-1:]:
        metrics.EVENT_LAG.labels(exchange).set((receive_time - timestamp) / 1e6)


def trace(tracer: Tracer, batch: RecordBatch, done: Normalized) -> None:
    """Trace the sampled trades of a batch: to the raw topic, by the time of their records, and normalized."""
    trades = traced(done.keys, batch.tp.partition, done.raw_offset)
    published = batch.timestamps[np.searchsorted(batch.offsets, done.raw_offset)] * 1000
    tracer.passed(FIRST, trades, done.receive_time, published)
    tracer.passed(Role.NORMALIZE, trades, published, clock.now_us())


@app.timer(settings.feeds.metrics_line_seconds)  # type: ignore[untyped-decorator]
async def report() -> None:
    """Log one summary line per exchange."""
    simulated = " SIMULATED" if settings.feeds.simulated else ""
    for name in exchanges.REGISTRY:
        normalized, rejected = totals[name, "normalized"], totals[name, "rejected"]
        said, concerned = f"{name}{simulated}", {"exchange": name}
        logger.info("%s: %d normalized, %d rejected", said, normalized, rejected, extra=concerned)


for each in exchanges.REGISTRY.values():
    declare(each)
