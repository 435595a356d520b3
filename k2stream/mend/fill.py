"""Normalizes raw records from Iceberg's bronze that expired in Kafka before they were normalized.

They keep their offsets, and are published before newer records of their partition are read: the result is as
if they had been read in time. After a kill, another run publishes them again, and readers drop them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from k2stream import deadletter, exchanges, instruments, topics
from k2stream.avro import registry
from k2stream.batch import TP, BatchTable, RecordBatch
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.model import clock, events
from k2stream.normalizer import Normalized, normalize
from k2stream.replay.bronze import SPAN, Bronze
from k2stream.settings import Settings


async def fill(settings: Settings, bronze: Bronze, tp: TP, offsets: range, table: BatchTable) -> int:
    """Normalize the given offsets of a raw partition; as `renew` otherwise."""

    async def batches() -> AsyncIterator[RecordBatch]:
        exchange = topics.exchange_of(tp.topic)
        for start in range(offsets.start, offsets.stop, SPAN):
            end = min(start + SPAN, offsets.stop)
            batch = await asyncio.to_thread(bronze.batch, exchange, tp.partition, start, end)
            if batch is not None:
                yield batch

    return await renew(settings, tp, batches(), table)


async def renew(settings: Settings, tp: TP, batches: AsyncIterator[RecordBatch], table: BatchTable) -> int:
    """Normalize batches of a raw partition as its worker does; returns the number of canonical trades.

    `table` has the positions of the exchange; the caller must write its changes to Kafka.
    """
    exchange = exchanges.get(topics.exchange_of(tp.topic))
    canonical_of = instruments.canonical_of(exchange, instruments.load(settings.feeds.instruments_file))
    schema_id = await registry.register(topics.NORMALIZED, "trade", settings.kafka.registry)
    count = 0
    async with producing(settings.kafka) as producer:
        async for batch in batches:
            done = normalize(
                exchange,
                batch,
                partial(table.get_from, tp.partition),
                canonical_of,
                schema_id=schema_id,
                process_time=clock.now_us(),
            )
            await _publish(producer, tp, done)
            table.put_many(tp.partition, done.positions)
            count += len(done.values)
    return count


async def send_trades(producer: DurableProducer, partition: int, done: Normalized) -> None:
    """Queue the canonical trades of a batch, in the partition of their raw records."""
    for key, value in zip(done.keys, done.values, strict=True):
        await producer.send(topics.NORMALIZED, value, key, partition)


async def _publish(producer: DurableProducer, tp: TP, done: Normalized) -> None:
    """As the normalizer does: canonical trades get the partition number of their raw record."""
    await send_trades(producer, tp.partition, done)
    for letter in done.dead_letters:
        await producer.send(topics.DLQ, deadletter.encode(letter), tp.topic.encode(), partition=0)
    for event in done.events:
        await producer.send(topics.FEED_EVENTS, events.encode(event), event.exchange.encode(), partition=0)
    await producer.flush()
