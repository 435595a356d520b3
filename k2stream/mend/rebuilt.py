"""Rebuilds the tables of a role.

Candles are made from the canonical topic as far back as it goes: it also has trades whose raw records were
lost with their topic before a sink had read them. What it no longer has comes from raw records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from k2stream import topics
from k2stream.avro import registry
from k2stream.batch import TP, BatchTable, RecordBatch
from k2stream.batch.proof import Verdict
from k2stream.candles import records
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.reader import OffsetRanges, Reader
from k2stream.mend.lift import Say
from k2stream.mend.plan import MendPlan
from k2stream.model.errors import K2Error, Unreadable
from k2stream.replay import source
from k2stream.replay.bronze import Bronze
from k2stream.replay.rebuild import Rebuild
from k2stream.replay.run import BATCH_RECORDS
from k2stream.replay.tables import Tables
from k2stream.settings import Settings


async def positions(settings: Settings, made: MendPlan, tables: dict[str, BatchTable], say: Say) -> int:
    """Rebuild the normalizer's lost tables; returns how many entries changed.

    Only up to its committed offsets: feeds continue, and records that a table marks as applied are never read
    again.
    """
    lost = {name for item in made.found for name in item.lost_tables}
    tables = {name: table for name, table in tables.items() if name in lost}
    sources = {table.source for table in tables.values()}
    limits = {tp: end if tp.topic in sources else 0 for tp, end in made.committed.items()}
    built = await _built(settings, limits, {}, say)
    return await Tables(tables, built, settings.candles.retention).repair(settings.kafka, reopen=True)


async def candles(settings: Settings, made: MendPlan, tables: dict[str, BatchTable], say: Say) -> int:
    """Rebuild the candle tables; returns how many entries changed.

    From raw records alone where the canonical topic is not the one that was read, or cannot be read whole.
    """
    registry.use(settings.kafka.registry)
    refused = {item.tp.partition for item in made.found if item.judgement.verdict is Verdict.REFUSE}
    try:
        async with Reader(settings.kafka, columnar=True) as reader:
            retained = await reader.retained(topics.NORMALIZED, settings.kafka.normalized_partitions)
            canonical = {number: at for number, at in retained.items() if number not in refused}
            limits = await _firsts(reader, canonical)
        built = await _built(settings, limits, canonical, say)
    except (K2Error, LookupError) as error:
        say(f"the canonical topic cannot be used, so that raw records have to do: {error}")
        built = await _built(settings, {}, {}, say)
    return await Tables(tables, built, settings.candles.retention).repair(settings.kafka, reopen=True)


async def _built(settings: Settings, limits: Mapping[TP, int], canonical: OffsetRanges, say: Say) -> Rebuild:
    """The tables of all raw records below `limits`, and of the given ranges of the canonical topic."""
    built, catalog = Rebuild(settings), open_catalog(settings.iceberg)
    bronze = Bronze(catalog, settings.clickhouse)
    async with Reader(settings.kafka, columnar=True) as reader:
        parts = await source.plan(settings.kafka, reader, catalog, "auto")
        # A symbol that moved went to a higher partition: all of a lower one comes before.
        for number in sorted({part.partition for part in parts} | canonical.keys()):
            for part in (part for part in parts if part.partition == number):
                end = limits.get(TP(topics.raw(part.exchange), number), part.end)
                part = part._replace(begin=min(part.begin, end), end=min(part.end, end))
                built.begin(part)
                async for batch in source.batches(reader, bronze, part, BATCH_RECORDS, say):
                    await asyncio.to_thread(built.take, part.exchange, batch)
            if number in canonical:
                async for batch in source.within(reader, topics.NORMALIZED, number, canonical[number]):
                    await asyncio.to_thread(_fold, built, batch)
    return built


def _fold(built: Rebuild, batch: RecordBatch) -> None:
    """Fold canonical trades. Raises Unreadable where one is no trade: its raw record may be."""
    if letters := built.fold(batch):
        raise Unreadable({row: letter.cause for row, letter in letters.items()})


async def _firsts(reader: Reader, canonical: OffsetRanges) -> dict[TP, int]:
    """The first raw offset that the canonical topic has of each raw partition."""
    found: dict[TP, int] = {}
    for number, offsets in canonical.items():
        missing = {TP(topics.raw(exchange), number) for exchange in topics.EXCHANGES}
        async for batch in source.within(reader, topics.NORMALIZED, number, offsets):
            if missing.isdisjoint(TP(topics.raw(name), number) for name in _exchanges(batch.keys)):
                continue
            _, trades, _ = records.read(batch)
            for key, offset in zip(trades.key[::-1].tolist(), trades.raw_offset[::-1].tolist(), strict=True):
                tp = TP(topics.raw(trades.keys[key].partition(":")[0]), number)
                if tp in missing:
                    found[tp] = offset
            missing -= found.keys()
            if not missing:
                break
    return found


def _exchanges(keys: Iterable[bytes | None]) -> set[str]:
    return {key.decode(errors="replace").partition(":")[0] for key in set(keys) if key}
