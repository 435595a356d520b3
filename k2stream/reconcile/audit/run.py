"""Audits one table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from k2stream import topics
from k2stream.delivery.progress import SinkPosition
from k2stream.iceberg import writer
from k2stream.iceberg.maintenance.log import AuditVerdict
from k2stream.iceberg.tables import TABLES, ColdTable
from k2stream.layers import gold
from k2stream.model.comparison import Comparison, Difference
from k2stream.reconcile.audit import compare
from k2stream.reconcile.audit.compare import Candles, Source
from k2stream.reconcile.audit.hot import Bounds, Hot
from k2stream.reconcile.audit.topics import OffsetSpan, Topics, reader
from k2stream.settings import Settings

COMMITS_LATE = 2
"""After this many commit intervals and a minute, a record is missing rather than late."""

CLOCKS_DIFFER = timedelta(minutes=10)
"""The most by which the clocks of the machines that receive and that write a trade may differ."""


def audit(settings: Settings, catalog: Catalog, name: str, seconds: float | None = None) -> AuditVerdict:
    """Audit a table over the last `seconds`, by default as configured.

    Raises KafkaError, NetworkError, … when a side cannot be read.
    """
    return asyncio.run(_audit(settings, catalog, TABLES[name], seconds or settings.maintenance.audit_seconds))


async def _audit(settings: Settings, catalog: Catalog, table: ColdTable, seconds: float) -> AuditVerdict:
    # Topics' timestamps have no fractions of a millisecond.
    start = (datetime.now(UTC) - timedelta(seconds=seconds)).replace(microsecond=0)
    due = datetime.now(UTC) - timedelta(seconds=COMMITS_LATE * settings.sinks.cold_commit_seconds + 60)
    async with reader(settings.kafka) as log:
        with closing(Hot(settings.clickhouse)) as hot:
            if table.route.topic == topics.NORMALIZED:
                return await _silver(catalog, table, log, hot, start, due)
            if table.layer_table.timeframe:
                return await _gold(catalog, table, log, hot, start, due)
            return await _bronze(catalog, table, log, hot, start, due)


async def _bronze(
    catalog: Catalog, table: ColdTable, log: Topics, hot: Hot, start: datetime, due: datetime
) -> AuditVerdict:
    """Each raw record must be a row, unless it is a dead letter; not every offset has a record."""
    exchange = table.layer_table.exchange
    in_hot = hot.positions(table)
    cold = catalog.load_table(table.name)
    durable = _positions(cold, table)
    spans = await log.spans(table.route.topic, start, due)
    lowest = min((span.first for span in spans.values()), default=0)
    rows = cold.scan(
        row_filter=f"raw_offset >= {lowest}",
        selected_fields=("raw_partition", "raw_offset", "receive_time"),
    ).to_arrow()
    rows = rows.append_column("exchange", pa.array([exchange] * len(rows), pa.string()))
    found = {source: offsets[offsets >= spans[source[1]].first] for source, offsets in _offsets(rows).items()}
    expected = {
        (exchange, number): np.arange(span.first, max(_last(durable, number) + 1, span.due))
        for number, span in spans.items()
    }
    if compare.trades(Comparison(table.name), expected, found, all_known=False).total:
        dead = await log.dead(table.route.topic)
        for (_, number), offsets in expected.items():
            gone = [offset for partition, offset in dead if partition == number]
            there = found.get((exchange, number), np.array([], np.int64))
            missing = np.setdiff1d(offsets, there)
            gone += (await log.no_records(table.route.topic, number, missing)).tolist()
            expected[exchange, number] = offsets[~np.isin(offsets, gone)]
    result = compare.trades(Comparison(table.name), expected, found, all_known=False)
    bounds = {
        (exchange, number): (span.first, min(_last(durable, number), _last(in_hot, number)))
        for number, span in spans.items()
    }
    ours = _by_partition(rows, bounds, by_exchange=False)
    theirs = hot.trades(table, datetime.fromtimestamp(0, UTC), bounds, by_exchange=False)
    compare.partitions(result, ours, theirs)
    return compare.verdict(result, sum(map(len, found.values())))


async def _silver(
    catalog: Catalog, table: ColdTable, log: Topics, hot: Hot, start: datetime, due: datetime
) -> AuditVerdict:
    """Each trade of the normalized topic must be one row, even if the topic has it repeatedly."""
    in_hot = _high_water_marks(hot.positions(table))
    cold = catalog.load_table(table.name)
    durable = _positions(cold, table)
    spans = await log.spans(table.route.topic, start - CLOCKS_DIFFER, due)
    rows = cold.scan(
        row_filter=f"receive_time >= '{start.isoformat()}'",
        selected_fields=("raw_partition", "raw_offset", "timestamp", "exchange"),
    ).to_arrow()
    expected = await log.trades(
        {number: (span.first, max(_last(durable, number) + 1, span.due)) for number, span in spans.items()},
        start,
    )
    found = _offsets(rows)
    whole = all(span.beginning == 0 or span.beginning < span.first for span in spans.values())
    result = compare.trades(Comparison(table.name), expected, found, all_known=whole)
    in_cold = _high_water_marks(durable)
    bounds = {source: (0, min(last, in_hot.get(source, -1))) for source, last in in_cold.items()}
    ours = _by_partition(rows, bounds, by_exchange=True)
    theirs = hot.trades(table, start, bounds, by_exchange=True)
    compare.partitions(result, ours, theirs)
    return compare.verdict(result, len(rows))


async def _gold(
    catalog: Catalog, table: ColdTable, log: Topics, hot: Hot, start: datetime, due: datetime
) -> AuditVerdict:
    """The highest revision of a candle must be equal in both tiers, unless one has yet to receive a record.

    The order of reading matters: what ClickHouse shows is at or beyond its positions, which are read first,
    and before the topic's end, which is read last.
    """
    in_hot = hot.positions(table)
    theirs = hot.candles(table, start)
    cold = catalog.load_table(table.name)
    durable = _positions(cold, table)
    ours = _candles(cold, table, start)
    spans = await log.spans(table.route.topic, start, due)
    on_the_way = {
        number: (max(min(_last(durable, number), _last(in_hot, number)) + 1, span.beginning), span.end)
        for number, span in spans.items()
    }
    pending = await log.candles(table.route.topic, on_the_way)
    result = Comparison(table.name)
    result.add(_uncommitted(table, durable, spans))
    compare.candles(result, ours, theirs, pending, table.route.schema.names)
    return compare.verdict(result, len(ours))


def _uncommitted(
    table: ColdTable, durable: Mapping[int, SinkPosition], spans: Mapping[int, OffsetSpan]
) -> Iterator[Difference]:
    late = {
        number: span.due - max(_last(durable, number) + 1, span.beginning) for number, span in spans.items()
    }
    for number, count in late.items():
        if count > 0:
            what = f"{count} records of {table.route.topic}[{number}]"
            yield Difference(table.name, what, "commit", "made by now", "missing")


def _positions(cold: Table, table: ColdTable) -> dict[int, SinkPosition]:
    durable = writer.positions(cold)
    return {key.partition: position for key, position in durable.items() if key.topic == table.route.topic}


def _last(durable: Mapping[int, SinkPosition], number: int) -> int:
    return durable.get(number, SinkPosition()).offset


def _high_water_marks(durable: Mapping[int, SinkPosition]) -> dict[Source, int]:
    """The highest raw offset of each source; see layers/silver.py."""
    high_water_marks: dict[Source, int] = {}
    for position in durable.values():
        for key, offset in position.high_water_marks.items():
            exchange, _, partition = key.rpartition(":")
            source = exchange, int(partition)
            high_water_marks[source] = max(offset, high_water_marks.get(source, -1))
    return high_water_marks


def _offsets(rows: pa.Table) -> dict[Source, NDArray[np.int64]]:
    sources = rows.group_by(["exchange", "raw_partition"]).aggregate([]).to_pylist()
    return {
        (source["exchange"], source["raw_partition"]): _of(rows, source["exchange"], source["raw_partition"])[
            "raw_offset"
        ].to_numpy()
        for source in sources
    }


def _of(rows: pa.Table, exchange: str, partition: int) -> pa.Table:
    return rows.filter((pc.field("exchange") == exchange) & (pc.field("raw_partition") == partition))


def _by_partition(rows: pa.Table, bounds: Bounds, *, by_exchange: bool) -> dict[str, int]:
    """The number of rows within the bounds by Iceberg partition, named as in `Hot.trades`."""
    counts: dict[str, int] = {}
    for (exchange, partition), (first, last) in bounds.items():
        mine = _of(rows, exchange, partition)
        mine = mine.filter((pc.field("raw_offset") >= first) & (pc.field("raw_offset") <= last))
        days = mine["timestamp" if by_exchange else "receive_time"].cast(pa.timestamp("us")).cast(pa.date32())
        for day in pc.value_counts(days).to_pylist():
            name = f"{day['values']} {exchange}" if by_exchange else str(day["values"])
            counts[name] = counts.get(name, 0) + day["counts"]
    return counts


def _candles(cold: Table, table: ColdTable, since: datetime) -> Candles:
    rows = gold.newest(cold.scan(row_filter=f"close_time >= '{since.isoformat()}'").to_arrow())
    names = table.route.schema.names
    values = zip(*(rows[name].to_pylist() for name in names), strict=True)
    at = [names.index(name) for name in gold.IDENTITY]
    return {(row[at[0]], row[at[1]], row[at[2]]): row for row in values}
