"""Canonical trades published again from all raw records, where their topic was lost or cut.

Readers know a trade by its raw offset and drop what they have. Normalising starts without any state, from the
first raw record that there is, so that duplicates and gaps are what they were; dead letters and feed events
are in topics of their own, and are not repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from k2stream import exchanges, instruments, topics
from k2stream.avro import registry
from k2stream.batch import TP
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.kafka.reader import Reader
from k2stream.mend.lift import Say
from k2stream.model import clock
from k2stream.normalizer import Normalised, SymbolPosition, normalise
from k2stream.replay import source
from k2stream.replay.bronze import Bronze
from k2stream.replay.source import Stretch
from k2stream.settings import FeedSettings, Settings

BATCH_RECORDS = 10_000


async def publish_again(settings: Settings, done: Mapping[TP, int], say: Say) -> int:
    """Publish what the topic would still retain; how many trades.

    `done`: up to which offset each raw partition was normalised; what follows is the normaliser's. Killed
    anywhere, another run publishes all of it again.
    """
    (topic,) = (topic for topic in topics.declared(settings.kafka) if topic.name == topics.NORMALIZED)
    since = clock.now_us() - topic.retention_ms * 1000
    schema_id = await registry.register(topics.NORMALIZED, "trade", settings.kafka.registry_url)
    catalog = open_catalog(settings.iceberg)
    bronze, count = Bronze(catalog, settings.clickhouse), 0
    async with Reader(settings.kafka, columnar=True) as reader, producing(settings.kafka) as producer:
        for part in await source.plan(settings.kafka, reader, catalog, "auto"):
            end = min(part.end, done.get(TP(topics.raw(part.exchange), part.partition), 0))
            part = part._replace(begin=min(part.begin, end), end=end)
            count += await _part(settings.feeds, producer, (reader, bronze, part), since, schema_id, say)
    return count


async def _part(
    settings: FeedSettings,
    producer: DurableProducer,
    read: tuple[Reader, Bronze, Stretch],
    since: int,
    schema_id: int,
    say: Say,
) -> int:
    reader, bronze, part = read
    of = exchanges.get(part.exchange)
    spelled = instruments.spelling(of, instruments.load(settings.instruments_file))
    known: dict[str, SymbolPosition] = {}
    count = 0
    async for batch in source.batches(reader, bronze, part, BATCH_RECORDS, say):
        made = await asyncio.to_thread(
            normalise, of, batch, known.get, spelled, schema_id=schema_id, process_time=clock.now_us()
        )
        known |= made.positions
        count += await _send(producer, part.partition, made, since)
    return count


async def _send(producer: DurableProducer, partition: int, made: Normalised, since: int) -> int:
    wanted = (made.receive_time >= since).nonzero()[0].tolist()
    for row in wanted:
        await producer.send(topics.NORMALIZED, made.values[row], made.keys[row], partition)
    await producer.flush()
    return len(wanted)
