"""Rebuilds the tables of a role.

Candles are made from the canonical topic as far back as it goes: it also has trades whose raw records were
lost with their topic before a sink had read them. What it no longer has comes from raw records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping

from k2stream import faults, topics
from k2stream.avro import registry
from k2stream.batch import TP, BatchTable
from k2stream.batch.proof import Verdict
from k2stream.candles import records
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.reader import OffsetRanges, Reader
from k2stream.mend.lift import Say
from k2stream.mend.plan import MendPlan
from k2stream.model.errors import StateRefused
from k2stream.replay import source
from k2stream.replay.bronze import Bronze
from k2stream.replay.rebuild import Rebuild
from k2stream.replay.run import BATCH_RECORDS
from k2stream.replay.source import SourceRange
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
    async with Reader(settings.kafka, columnar=True) as reader:
        built = await _built(settings, reader, await _plan(settings, reader), limits, {}, say)
    return await Tables(tables, built, settings.candles.retention).repair(settings.kafka, reopen=True)


async def candles(settings: Settings, made: MendPlan, tables: dict[str, BatchTable], say: Say) -> int:
    """Rebuild the candle tables; returns how many entries changed."""
    refused = {item.tp.partition for item in made.found if item.judgement.verdict is Verdict.REFUSE}
    built = await candle_contents(settings, refused, say)
    rebuilt = Tables(tables, built, settings.candles.retention)
    return await rebuilt.repair(settings.kafka, reopen=True, whole=made.republishes)


async def candle_contents(settings: Settings, refused: Container[int], say: Say) -> Rebuild:
    """The contents of the candle tables.

    From raw records alone in `refused` partitions, where the canonical topic is not the one that was read,
    and in all where it cannot be read whole. Raises RegistryUnavailable where that is not known: it may have
    trades whose raw records are lost.
    """
    registry.use(settings.kafka.registry)
    async with Reader(settings.kafka, columnar=True) as reader:
        parts = await _plan(settings, reader)
        retained = await reader.retained(topics.NORMALIZED, settings.kafka.normalized_partitions)
        canonical = {number: at for number, at in retained.items() if number not in refused}
        try:
            limits = await _firsts(reader, parts, canonical)
            return await _built(settings, reader, parts, limits, canonical, say)
        except (StateRefused, faults.Broken) as error:
            say(f"the canonical topic cannot be read, so that raw records have to do: {error}")
            return await _built(settings, reader, parts, {}, {}, say)


async def _plan(settings: Settings, reader: Reader) -> list[SourceRange]:
    return await source.plan(settings.kafka, reader, open_catalog(settings.iceberg), "auto")


async def _built(
    settings: Settings,
    reader: Reader,
    parts: list[SourceRange],
    limits: Mapping[TP, int],
    canonical: OffsetRanges,
    say: Say,
) -> Rebuild:
    """The tables of all raw records below `limits`, and of the given ranges of the canonical topic."""
    built, bronze = Rebuild(settings), Bronze(open_catalog(settings.iceberg), settings.clickhouse)
    unreadable = 0
    # A symbol that moved went to a higher partition: all of a lower one comes before.
    for number in sorted({part.partition for part in parts} | canonical.keys()):
        for part in (part for part in parts if part.partition == number):
            end = limits.get(TP(topics.raw(part.exchange), number), part.end)
            part = part._replace(begin=min(part.begin, end), end=min(part.end, end))
            built.begin(part)
            async for batch in source.batches(reader, bronze, part, BATCH_RECORDS, say):
                await asyncio.to_thread(built.take, part.exchange, batch)
        async for batch in source.within(reader, topics.NORMALIZED, number, canonical.get(number, (0, 0))):
            unreadable += len(await asyncio.to_thread(built.fold, batch))
    if unreadable:
        say(
            f"records of the canonical topic that are no trades: {unreadable:,}; their dead letters keep them"
        )
    return built


async def _firsts(reader: Reader, parts: Iterable[SourceRange], canonical: OffsetRanges) -> dict[TP, int]:
    """The first raw offset that the canonical topic has of each raw partition that has records."""
    found: dict[TP, int] = {}
    records_in = {TP(topics.raw(part.exchange), part.partition) for part in parts if part.end}
    for number, offsets in canonical.items():
        missing = {tp for tp in records_in if tp.partition == number}
        if not missing:
            continue
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
