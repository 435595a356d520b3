"""The trades of a few symbols and spans, from one copy of their raw records, by the oracle's own rules."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from k2stream import topics
from k2stream.reconcile.oracle import clickhouse, iceberg, raw, unreadable, venues
from k2stream.reconcile.oracle.candles import listed
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.layers import BRONZE_US
from k2stream.reconcile.oracle.oracle import expect
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw_log import RetainedOffsets, from_times, read_to_end, retained
from k2stream.settings import KafkaSettings, Settings

RAW, ICEBERG, CLICKHOUSE = "raw topic", "Iceberg bronze", "ClickHouse bronze"

LOOKBACK_US = 300_000_000
"""What is read before a span: repeats of its trades, and event times that make one late, are not older."""

Place = tuple[str, int]
"""An exchange, and a partition of its raw topic."""

Records = dict[Place, list[tuple[int, bytes | None]]]
"""Raw records with their offsets."""


class TradeSpanWanted(NamedTuple):
    """What is needed of a symbol (native): its records received from `since` (µs) up to a raw offset."""

    exchange: str
    symbol: str
    raw_partition: int
    since: int
    last: int


class WantedRecords(NamedTuple):
    """What is needed of a place: records of symbols received from `since` (µs) up to a raw offset.

    `own`: the last record of one of them is there.
    """

    since: int
    last: int
    symbols: frozenset[str]
    own: bool


class OracleTrade(NamedTuple):
    """A valid trade that is neither a repeat nor late. Decimals are integers at scale 18, times µs."""

    raw_partition: int
    raw_offset: int
    trade_id: int
    timestamp: int
    price: int
    quantity: int
    side: str
    trade_count: int
    fetched: bool
    aggregated: bool = False


@dataclass(slots=True)
class TradesOfCopy:
    """Trades by (exchange, native symbol), in raw order; raw offsets that the copy has more than once."""

    trades: dict[tuple[str, str], list[OracleTrade]] = field(default_factory=dict)
    doubled: set[tuple[str, int, int]] = field(default_factory=set)


async def trades_of(settings: Settings, wanted: Sequence[TradeSpanWanted], copy: str) -> TradesOfCopy | None:
    """The trades of some spans; None when the copy does not have all of their records any more."""
    spans = _joined(wanted, settings.kafka)
    records = await _READ[copy](settings, spans)
    if records is None:
        return None
    found = TradesOfCopy()
    for (exchange, number), rows in records.items():
        counts = Counter(offset for offset, _ in rows)
        found.doubled |= {(exchange, number, offset) for offset, count in counts.items() if count > 1}
    with tempfile.TemporaryDirectory(prefix="k2-explain-") as name, OracleEngine() as engine:
        folder = Path(name)
        bad = unreadable.UnreadableRecords()
        bounds = await retained(settings.kafka, topics.DLQ)
        await unreadable.letters(settings.kafka, engine, bounds, folder / "letters.parquet", bad)
        extent = raw.Extent()
        for exchange in topics.EXCHANGES:
            with ParquetWriter(folder / f"{exchange}.parquet", raw.SCHEMA) as writer:
                for (name_of, number), rows in records.items():
                    if name_of == exchange and rows:
                        extent.first[exchange, number] = rows[0][0]
                        once = dict(rows).items()
                        writer.rows(raw.judged(exchange, number, once, 0, cold=copy != RAW))
        expect(engine, folder, extent, listed(settings.feeds), settings.candles.grace_us)
        found.trades = _read(engine, {(item.exchange, item.symbol) for item in wanted})
    return found


def _read(
    engine: OracleEngine, symbols: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], list[OracleTrade]]:
    found: defaultdict[tuple[str, str], list[OracleTrade]] = defaultdict(list)
    wanted = set(symbols)
    for exchange, symbol, *values in engine.rows(
        """SELECT exchange, symbol, raw_partition, raw_offset, sequence, ts, toString(price),
            toString(quantity), taker, weight, backfilled, aggregated
        FROM timed WHERE NOT late ORDER BY raw_offset"""
    ):
        if (exchange, symbol) in wanted:
            number, offset, trade_id, time, price, quantity, side, count, *flags = values
            plain = (int(number), int(offset), int(trade_id), int(time), int(price), int(quantity))
            found[exchange, symbol].append(OracleTrade(*plain, side, int(count), *map(bool, flags)))
    return dict(found)


def _joined(wanted: Sequence[TradeSpanWanted], kafka: KafkaSettings) -> dict[Place, WantedRecords]:
    """By place; before a partition count grew, a symbol's records went to a lower partition."""
    spans: dict[Place, WantedRecords] = {}
    for exchange, symbol, own, since, last in wanted:
        lower = topics.partitions_of(symbol, kafka.raw_partitions(exchange))
        for number in {own, *(number for number in lower if number < own)}:
            place = exchange, number
            before = spans.get(place, WantedRecords(since, last, frozenset(), own=False))
            spans[place] = WantedRecords(
                min(before.since, since),
                max(before.last, last),
                before.symbols | {symbol},
                own=before.own or number == own,
            )
    return {place: span._replace(since=span.since - LOOKBACK_US) for place, span in spans.items()}


async def _from_raw(settings: Settings, spans: Mapping[Place, WantedRecords]) -> Records | None:
    found: Records = {}
    for exchange in {exchange for exchange, _ in spans}:
        topic = topics.raw(exchange)
        mine = {number: span for (name, number), span in spans.items() if name == exchange}
        bounds = await retained(settings.kafka, topic)
        starts = await from_times(
            settings.kafka, topic, {number: span.since // 1000 for number, span in mine.items()}
        )
        wanted = {}
        for number, span in mine.items():
            begin, end = bounds.get(number, RetainedOffsets(0, 0))
            start = starts.get(number)
            if start is None and not span.own:
                continue
            if start is None or 0 < begin == start:
                return None
            wanted[number] = RetainedOffsets(start, min(span.last + 1, end))
            found[exchange, number] = []
        async for number, records in read_to_end(settings.kafka, topic, wanted):
            keys = {symbol.encode() for symbol in mine[number].symbols}
            rows = [(record.offset, record.value) for record in records if record.key in keys]
            found[exchange, number] += rows
    return found


async def _from_iceberg(settings: Settings, spans: Mapping[Place, WantedRecords]) -> Records | None:
    found: Records = {}
    for (exchange, number), (since, last, _, own) in spans.items():
        table = iceberg.load(settings.iceberg, f"bronze_trades_{exchange}")
        reached = f"raw_partition == {number} and raw_offset >= {last}"
        if table is None or (own and not len(iceberg.offsets(table, reached))):
            return None
        since_text = iceberg.moment(since)
        where = f"raw_partition == {number} and raw_offset <= {last} and receive_time >= '{since_text}'"
        found[exchange, number] = sorted(
            row
            for piece in iceberg.pieces(table, where)
            for row in zip(
                piece["raw_offset"].to_pylist(),
                raw.bodies(exchange, piece, venues.for_exchange(exchange).renamed),
                strict=True,
            )
        )
    return found


async def _from_clickhouse(settings: Settings, spans: Mapping[Place, WantedRecords]) -> Records | None:
    found: Records = {}
    with clickhouse.connected(settings.clickhouse) as client:
        for (exchange, number), (since, last, _, own) in spans.items():
            table = f"{settings.clickhouse.database}.bronze_trades_{exchange} FINAL"
            mine = f"raw_partition = {number}"
            ((reached,),) = client.execute(
                f"SELECT count() FROM {table} WHERE {mine} AND raw_offset >= {last}"
            )
            if own and (not reached or since < time.time_ns() // 1000 - BRONZE_US):
                return None
            names = [
                *venues.for_exchange(exchange).columns,
                "receive_time",
                "connection",
                "sequence",
                "raw_offset",
            ]
            sql = ", ".join(f"`{name}`" for name in names)
            rows = client.execute(
                f"""SELECT {sql} FROM {table} WHERE {mine} AND raw_offset <= {last}
                    AND receive_time >= fromUnixTimestamp64Micro({since})
                ORDER BY raw_offset"""
            )
            piece = (
                pa.table([pa.array(column) for column in zip(*rows, strict=True)], names) if rows else None
            )
            bodies = raw.bodies(exchange, piece, {}) if piece is not None else ()
            found[exchange, number] = list(zip((row[-1] for row in rows), bodies, strict=True))
    return found


_READ = {RAW: _from_raw, ICEBERG: _from_iceberg, CLICKHOUSE: _from_clickhouse}
