"""Compares every layer with the oracle, including which rows each layer must still have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from k2stream import topics
from k2stream.model.comparison import Comparison
from k2stream.reconcile.oracle import bronze, windows
from k2stream.reconcile.oracle.compare import OracleLayer, compare, processed
from k2stream.reconcile.oracle.compare_candles import compare_candles
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.letters import compare_letters
from k2stream.reconcile.oracle.oracle import NEVER, from_offset
from k2stream.reconcile.oracle.raw import Extent
from k2stream.reconcile.oracle.raw_log import Bounds

Work = Mapping[str, Callable[[], Comparison]]
"""The comparison of each layer, by the layer's name."""

GOLD = {
    "candle tables": "table_candles",
    "candle topics": "topic_candles",
    "ClickHouse gold": "hot_candles",
    "Iceberg gold": "cold_candles",
}
EVERY_REVISION = ("candle topics", "Iceberg gold")

_DAY_US = 86_400_000_000
SILVER_US, BRONZE_US = 30 * _DAY_US, 7 * _DAY_US
"""How long ClickHouse keeps trades (by trade time) and raw records (by receive time)."""

_MARGIN_US = _DAY_US
"""ClickHouse deletes expired rows in whole parts, some time after they expire."""


def work(
    engine: OracleEngine, folder: Path, extent: Extent, retained: Mapping[str, Bounds], retention: int | None
) -> Work:
    """The comparisons; `retained` has the bounds of derived topics, `retention` is that of the candle tables.

    Without `retention`, candle tables are not compared.
    """
    gold = {name: table for name, table in GOLD.items() if name != "candle tables" or retention is not None}
    windows.mixed(engine, ["canonical", "hot_silver", "cold_silver"], from_offset(extent.first))
    windows.expected_candles(engine, [*gold.values(), "needed"])
    letters_retained = not any(part.begin for part in retained[topics.DLQ].values())
    found: dict[str, Callable[[], Comparison]] = {}
    begun = [
        (timeframe, number)
        for timeframe in windows.TIMEFRAMES
        for number, part in retained[topics.ohlcv(timeframe)].items()
        if part.begin
    ]
    for name, table in gold.items():
        kept = retention if name == "candle tables" else None
        expired = begun if name == "candle topics" else ()
        every = name in EVERY_REVISION
        found[name] = partial(compare_candles, engine, name, table, kept, revisions=every, begun=expired)
    found |= _trades(engine, extent, retained)
    for name in ("ClickHouse bronze", "Iceberg bronze"):
        found[name] = partial(_bronze, engine, extent, name)
    found["dead letters"] = partial(compare_letters, engine, folder, all_retained=letters_retained)
    return found


def _trades(engine: OracleEngine, extent: Extent, retained: Mapping[str, Bounds]) -> Work:
    since = from_offset(extent.first)
    late = "(SELECT * FROM silver WHERE late)"
    young = f"timestamp > {time.time_ns() // 1000 - SILVER_US + _MARGIN_US}"

    def topic(name: str, table: str, expected: str, bounds: Bounds) -> Comparison:
        lasting = _kept(engine, table, bounds)
        layer = OracleLayer(name, table, expected, lasting=lasting, since=since, repeats=True)
        return _silver(engine, layer)

    def tier(name: str, table: str, lasting: str) -> Comparison:
        return _silver(engine, OracleLayer(name, table, "silver", lasting=lasting, since=since))

    normalized = partial(topic, "canonical topic", "canonical", "silver", retained[topics.NORMALIZED])
    return {
        "canonical topic": normalized,
        "late topic": partial(topic, "late topic", "late", late, retained[topics.LATE]),
        "ClickHouse silver": partial(tier, "ClickHouse silver", "hot_silver", young),
        "Iceberg silver": partial(tier, "Iceberg silver", "cold_silver", "1"),
    }


def _silver(engine: OracleEngine, layer: OracleLayer) -> Comparison:
    compared = compare(engine, layer)
    if layer.stored != "canonical":
        compared.add(processed(engine, layer, "canonical"))
    return compared


def _kept(engine: OracleEngine, table: str, bounds: Bounds) -> str:
    """SQL for what a partly expired topic must still have: everything after its first record.

    A partition of the normalized topic has the raw partition with the same number; a single-partition topic
    has all of them.
    """
    begun = {number for number, part in bounds.items() if part.begin}
    if not begun:
        return "1"
    first = {
        (str(exchange), int(number)): int(offset)
        for exchange, number, offset in engine.rows(
            f"SELECT exchange, raw_partition, min(raw_offset) FROM {table} GROUP BY exchange, raw_partition"
        )
    }
    partitions = engine.number("SELECT max(raw_partition) + 1 FROM read_trades")
    places = [(name, number) for name in topics.EXCHANGES for number in range(partitions)]
    cut = [place for place in places if place[1] in begun or len(bounds) == 1]
    return from_offset({place: first.get(place, NEVER) for place in cut})


def _bronze(engine: OracleEngine, extent: Extent, name: str) -> Comparison:
    """Compare bronze; rows that replace expired raw records are not compared with themselves."""
    total = Comparison(name)
    tier, start, lasting = "cold", extent.begin, "NOT cold"
    if name == "ClickHouse bronze":
        kept = time.time_ns() // 1000 - BRONZE_US + _MARGIN_US
        tier, start, lasting = "hot", extent.first, f"received > {kept} AND NOT cold"
    for exchange in topics.EXCHANGES:
        found, expected = f"{tier}_bronze_{exchange}", f"bronze_{exchange}"
        layer = OracleLayer(name, found, expected, bronze.columns(exchange), lasting, from_offset(start), "0")
        total.merge(compare(engine, layer))
    return total


def counts(engine: OracleEngine) -> dict[str, dict[str, int]]:
    """The number of rows by exchange and layer."""
    distinct = "uniqExact(raw_partition, raw_offset)"
    sources = {
        "duplicates": ("countIf(duplicate)", "trades"),
        "dead letters": ("count()", "letters"),
        "normalized": (distinct, "canonical"),
        "late": (distinct, "late"),
        "bronze": ("count()", "hot_bronze_{}"),
        "silver": ("count()", "hot_silver"),
        "cold bronze": ("count()", "cold_bronze_{}"),
        "cold silver": ("count()", "cold_silver"),
    }
    return {
        exchange: {
            "raw": engine.number(f"SELECT count() FROM judged WHERE topic = '{topics.raw(exchange)}'"),
            **{
                layer: engine.number(
                    f"SELECT {count} FROM {source.format(exchange)} WHERE exchange = '{exchange}'"
                )
                for layer, (count, source) in sources.items()
            },
        }
        for exchange in topics.EXCHANGES
    }
