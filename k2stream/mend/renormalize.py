"""Publishes canonical trades again from all raw records, after their topic was lost or truncated.

Readers identify a trade by its raw offset, and drop those they have. Normalizing starts without state at the
first available raw record, so that duplicates and gaps are the same as before. Dead letters and feed events
are in other topics, and are not repeated.
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
    """Publish the trades that the topic would still retain; returns how many.

    `done` is the offset up to which each raw partition was normalized; the normalizer itself handles the
    rest. After a kill, another run publishes all of them again.
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
