"""Publishes canonical trades again from all raw records, after their topic was lost or truncated.

Readers identify a trade by its raw offset, and drop those they have. Normalizing starts without state at the
first available raw record, so that duplicates and gaps are the same as before. Dead letters and feed events
are in other topics, and are not repeated.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from k2stream import exchanges, instruments, topics
from k2stream.avro import registry
from k2stream.batch import TP
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.producer import DurableProducer, producing
from k2stream.kafka.reader import Reader
from k2stream.mend.fill import send_trades
from k2stream.mend.lift import Say
from k2stream.model import clock
from k2stream.normalizer import SymbolPosition, normalize
from k2stream.replay import source
from k2stream.replay.bronze import Bronze
from k2stream.replay.source import SourceRange
from k2stream.settings import FeedSettings, Settings

BATCH_RECORDS = 10_000


async def publish_again(settings: Settings, done: Mapping[TP, int], say: Say) -> int:
    """Publish the trades of all raw records that their topics retain; returns how many.

    Older records, of Iceberg's bronze, are read for the state only. `done` is the offset up to which each raw
    partition was normalized; the normalizer itself handles the rest. After a kill, another run publishes all
    of them again.
    """
    schema_id = await registry.register(topics.NORMALIZED, "trade", settings.kafka.registry)
    catalog = open_catalog(settings.iceberg)
    bronze, count = Bronze(catalog, settings.clickhouse), 0
    known: defaultdict[str, dict[str, SymbolPosition]] = defaultdict(dict)  # a symbol may have moved upwards
    async with Reader(settings.kafka, columnar=True) as reader, producing(settings.kafka) as producer:
        for part in await source.plan(settings.kafka, reader, catalog, "auto"):
            end = min(part.end, done.get(TP(topics.raw(part.exchange), part.partition), 0))
            part = part._replace(begin=min(part.begin, end), end=end)
            read = reader, bronze, part
            count += await _part(settings.feeds, producer, read, known[part.exchange], schema_id, say)
    return count


async def _part(
    settings: FeedSettings,
    producer: DurableProducer,
    read: tuple[Reader, Bronze, SourceRange],
    known: dict[str, SymbolPosition],
    schema_id: int,
    say: Say,
) -> int:
    reader, bronze, part = read
    exchange = exchanges.get(part.exchange)
    canonical_of = instruments.canonical_of(exchange, instruments.load(settings.instruments_file))
    count = 0
    async for batch in source.batches(reader, bronze, part, BATCH_RECORDS, say):
        made = await asyncio.to_thread(
            normalize,
            exchange,
            batch,
            known.get,
            canonical_of,
            schema_id=schema_id,
            process_time=clock.now_us(),
        )
        known |= made.positions
        if batch.last_offset >= part.begin:
            await send_trades(producer, part.partition, made)
            await producer.flush()
            count += len(made.values)
    return count
