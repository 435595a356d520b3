"""Raw records that expired before they were normalised, normalised from Iceberg's bronze.

They keep their offsets, and are published before anything newer of their partition is read: what follows is
as if they had been read in time. Killed anywhere, another run publishes them again, which readers drop.
"""

from __future__ import annotations

import asyncio
from functools import partial

from k2stream import deadletter, exchanges, instruments, topics
from k2stream.avro import registry
from k2stream.batch import TP, BatchTable
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.model import clock, events
from k2stream.normalizer import Normalised, normalise
from k2stream.replay.bronze import SPAN, Bronze
from k2stream.settings import Settings


async def fill(settings: Settings, bronze: Bronze, tp: TP, offsets: range, table: BatchTable) -> int:
    """Normalise the offsets of a raw partition; how many canonical trades there were.

    `table` is the exchange's positions; its changes are the caller's to write.
    """
    of = exchanges.get(topics.exchange_of(tp.topic))
    spelled = instruments.spelling(of, instruments.load(settings.feeds.instruments_file))
    schema_id = await registry.register(topics.NORMALIZED, "trade", settings.kafka.registry_url)
    count = 0
    async with producing(settings.kafka) as producer:
        for start in range(offsets.start, offsets.stop, SPAN):
            end = min(start + SPAN, offsets.stop)
            batch = await asyncio.to_thread(bronze.batch, of.name, tp.partition, start, end)
            if batch is None:
                continue
            done = normalise(
                of,
                batch,
                partial(table.get_from, tp.partition),
                spelled,
                schema_id=schema_id,
                process_time=clock.now_us(),
            )
            await _publish(producer, tp, done)
            table.put_many(tp.partition, done.positions)
            count += len(done.values)
    return count


async def _publish(producer: DurableProducer, tp: TP, done: Normalised) -> None:
    """As the normaliser: canonical trades stay in their raw partition."""
    for key, value in zip(done.keys, done.values, strict=True):
        await producer.send(topics.NORMALIZED, value, key, partition=tp.partition)
    for letter in done.dead_letters:
        await producer.send(topics.DLQ, deadletter.encode(letter), tp.topic.encode(), partition=0)
    for event in done.events:
        await producer.send(topics.FEED_EVENTS, events.encode(event), event.exchange.encode(), partition=0)
    await producer.flush()
