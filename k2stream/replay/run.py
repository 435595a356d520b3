"""One replay: rebuild under fresh names, then compare every layer."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import pyarrow as pa

from k2stream import topics
from k2stream.batch import RecordBatch
from k2stream.clickhouse.destination import ClickHouse
from k2stream.delivery.route import joined
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.tables import TABLES
from k2stream.kafka.creation import ensure_topics
from k2stream.kafka.reader import Reader
from k2stream.layers.routes import ROUTES
from k2stream.model.comparison import Comparison
from k2stream.model.roles import Role
from k2stream.replay import compare_clickhouse, compare_iceberg, groups, positions, source
from k2stream.replay.bronze import Bronze
from k2stream.replay.compare import ALL
from k2stream.replay.positions import Ends
from k2stream.replay.rebuild import Rebuild, Rows
from k2stream.replay.source import Origin
from k2stream.replay.tables import Tables
from k2stream.replay.tiers import Tiers
from k2stream.settings import Settings

BATCH_RECORDS = 10_000
"""Raw records normalized at once."""

WRITE_ROWS = 100_000
"""Rows of a table written at once."""

Say = Callable[[str], None]


@dataclass(slots=True)
class RebuildOutcome:
    """The rebuilt state, the raw offsets and number of records it is from, and the comparison of layers."""

    rebuild: Rebuild
    covered: Ends
    records: int = 0
    layers: list[Comparison] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """The number of differences in all layers."""
        return sum(layer.total for layer in self.layers)


class TierWriter:
    """Buffers rows by table, and writes them to both tiers."""

    def __init__(self, tiers: Tiers, rows: int) -> None:
        self._tiers = tiers
        self._rows = rows
        self._buffered: defaultdict[str, list[pa.Table]] = defaultdict(list)

    def put(self, made: Rows) -> None:
        """Buffer rows, and write the table's buffer when it is large."""
        buffered = self._buffered[made.route.table]
        buffered.append(made.rows)
        if sum(map(len, buffered)) >= self._rows:
            self._write(made.route.table)

    def finish(self) -> None:
        """Write everything that is buffered."""
        for table in list(self._buffered):
            self._write(table)

    def _write(self, table: str) -> None:
        rows = joined(self._buffered.pop(table))
        for tier in self._tiers if len(rows) else ():
            tier.write(table, rows)


async def rebuild(
    settings: Settings,
    tiers: Tiers,
    origin: Origin,
    say: Say,
    progress: Callable[[int, int], None] = lambda done, total: None,
    batch_records: int = BATCH_RECORDS,
) -> RebuildOutcome:
    """Write all layers under the fresh names; calls `progress` with the records done and their total.

    Raises ConfigError when raw records are missing.
    """
    hot, cold = tiers
    await ensure_topics(settings.kafka, topics.declared(settings.kafka))
    async with Reader(settings.kafka, columnar=True) as reader:
        await asyncio.to_thread(hot.create)
        await asyncio.to_thread(cold.create)
        plan = await source.plan(settings.kafka, reader, cold.catalog, origin)
        bronze = Bronze(cold.catalog, settings.clickhouse if origin == "auto" else None)
        outcome, writer = (
            RebuildOutcome(Rebuild(settings), positions.ends(plan)),
            TierWriter(tiers, WRITE_ROWS),
        )
        total = sum(outcome.covered.values())
        before = 0
        for part in plan:
            outcome.rebuild.begin(part)
            async for batch in source.batches(reader, bronze, part, batch_records, say):
                await asyncio.to_thread(_take, outcome.rebuild, part.exchange, batch, writer)
                outcome.records += len(batch)
                progress(before + batch.last_offset + 1, total)
            before += part.end
    for made in outcome.rebuild.candles(WRITE_ROWS):
        await asyncio.to_thread(writer.put, made)
    await asyncio.to_thread(writer.finish)
    return outcome


def _take(built: Rebuild, exchange: str, batch: RecordBatch, writer: TierWriter) -> None:
    for made in built.take(exchange, batch):
        writer.put(made)


async def compare(
    settings: Settings, tiers: Tiers, tables: Tables, covered: Ends, *, still: bool
) -> Iterator[Comparison]:
    """Compare every layer with its rebuilt one, lazily.

    Unless all workers are `still`, the comparison ends at what the replay covers and the sinks have written.
    """
    hot, cold = tiers
    behind = set() if still else await groups.lagging(settings)
    upstream = bool(behind & {Role.NORMALIZE.group, Role.CANDLES.group})
    await tables.read(settings.kafka)
    limits = dict.fromkeys(covered, ALL) if still else covered
    sinks = (None, None) if still else (ClickHouse(settings.clickhouse), Iceberg(settings.iceberg))
    in_hot = positions.bounds(limits, ROUTES, sinks[0])
    in_cold = positions.bounds(
        limits, {table.layer_table.hot: table.route for table in TABLES.values()}, sinks[1]
    )
    return chain(
        tables.layers(limits, behind=upstream),
        compare_clickhouse.layers(hot, in_hot, behind=upstream or Role.HOT.group in behind),
        compare_iceberg.layers(cold.catalog, in_cold, behind=upstream or Role.COLD.group in behind),
    )
