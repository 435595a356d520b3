"""Runs one verification: computes the oracle's results, and compares every layer."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from k2stream import topics
from k2stream.model.comparison import Comparison
from k2stream.reconcile.oracle import bronze, candles, raw, trades, unreadable
from k2stream.reconcile.oracle.candles import listed
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.layers import GOLD, counts, work
from k2stream.reconcile.oracle.off import leave_out
from k2stream.reconcile.oracle.oracle import expect
from k2stream.reconcile.oracle.raw_log import Bounds, retained
from k2stream.reconcile.oracle.windows import TIMEFRAMES
from k2stream.settings import KafkaSettings, Settings

Say = Callable[[str], None]
Settle = Callable[[], Awaitable[None]]

LAYERS = ("canonical", "late", "hot_silver", "cold_silver", *GOLD.values())
"""Tables of the engine with rows of all exchanges; dead letters are compared by topic."""

AGAIN_SECONDS = 60.0
"""The longest time (s) that missing rows of a running platform are waited for."""


@dataclass(slots=True)
class Report:
    """The results; `counts` is {exchange: {layer: rows}}, `off` the exchanges whose rows were left out."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    candles: int = 0
    comparisons: list[Comparison] = field(default_factory=list)
    off: list[str] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """The number of differences in all layers."""
        return sum(item.total for item in self.comparisons)

    @property
    def waiting(self) -> bool:
        """Whether all differences are missing rows."""
        wrong = [item for item in self.comparisons if item.total]
        return bool(wrong) and all(item.waiting for item in wrong)


async def verify(
    settings: Settings,
    candles_url: str | None,
    on_step: Say = lambda text: None,
    settle: Settle | None = None,
) -> Report:
    """Recompute everything from the raw records, and compare each layer with the result.

    `candles_url` is the base URL of the candles worker; without it, its tables are not compared. `settle` is
    for a running platform: it waits until all layers have what the raw topics have at present. Later records
    may be in the layers too, and are compared; missing rows may only be late, so the verification is
    repeated.
    """
    required = await raw.ends(settings.kafka)
    deadline = time.monotonic() + AGAIN_SECONDS
    while True:
        if settle:
            on_step("waiting for the layers to catch up with the raw topics")
            await settle()
        report = await _once(settings, candles_url, on_step, required)
        if not (settle and report.waiting) or time.monotonic() > deadline:
            return report
        on_step(f"{report.differences:,} rows are missing, looking again")


async def _once(
    settings: Settings, candles_url: str | None, on_step: Say, required: Mapping[str, Bounds]
) -> Report:
    with tempfile.TemporaryDirectory(prefix="k2-verify-") as name, OracleEngine() as engine:
        folder = Path(name)
        on_step("reading the canonical trades, candles and dead letters of Kafka")
        retained_by_topic = await _topics(settings.kafka, engine, folder)
        if candles_url:
            on_step("reading the candle tables")
            path = folder / "tables.parquet"
            await candles.tables(settings, engine, "table_candles", candles_url, path)
        await asyncio.to_thread(_stores, settings, engine, folder, on_step)
        off = leave_out(engine, [name for name in LAYERS if candles_url or name != GOLD["candle tables"]])
        on_step("reading the raw topics")
        extent = await raw.dump(settings, folder, required, partial(unreadable.lettered, engine))
        on_step(f"recomputing {extent.records:,} trades and their candles")
        tables = candles_url is not None
        report = await asyncio.to_thread(
            _compared, settings, engine, folder, extent, retained_by_topic, on_step, tables=tables
        )
        report.off = off
        return report


async def _topics(settings: KafkaSettings, engine: OracleEngine, folder: Path) -> dict[str, Bounds]:
    """Load the contents of the derived topics; returns their bounds by topic."""
    bad = unreadable.UnreadableRecords()
    ohlcv = {timeframe: topics.ohlcv(timeframe) for timeframe in TIMEFRAMES}
    names = (topics.NORMALIZED, topics.LATE, topics.DLQ, *ohlcv.values())
    bounds = {name: await retained(settings, name) for name in names}
    for topic, table in ((topics.NORMALIZED, "canonical"), (topics.LATE, "late")):
        path = folder / f"{table}.parquet"
        await trades.topic(settings, engine, table, (topic, bounds[topic]), path, bad)
    by_timeframe = {timeframe: bounds[topic] for timeframe, topic in ohlcv.items()}
    await candles.topic(settings, engine, "topic_candles", by_timeframe, folder / "candles.parquet", bad)
    await unreadable.letters(settings, engine, bounds[topics.DLQ], folder / "letters.parquet", bad)
    bad.table(engine, folder / "unreadable.parquet")
    return bounds


def _stores(settings: Settings, engine: OracleEngine, folder: Path, on_step: Say) -> None:
    hot, cold = settings.clickhouse, settings.iceberg
    on_step("reading the trades of ClickHouse and Iceberg")
    trades.hot(hot, engine, "hot_silver", folder / "hot-silver.parquet")
    trades.cold(cold, engine, "cold_silver", folder / "cold-silver.parquet")
    on_step("reading the candles of ClickHouse and Iceberg")
    candles.hot(hot, engine, "hot_candles", folder)
    candles.cold(cold, engine, "cold_candles", folder)
    for exchange in topics.EXCHANGES:
        on_step(f"reading the raw records of {exchange} in ClickHouse and Iceberg")
        bronze.hot(hot, engine, exchange, f"hot_bronze_{exchange}", folder / f"hot-bronze-{exchange}.parquet")
        bronze.cold(
            cold, engine, exchange, f"cold_bronze_{exchange}", folder / f"cold-bronze-{exchange}.parquet"
        )


def _compared(
    settings: Settings,
    engine: OracleEngine,
    folder: Path,
    extent: raw.Extent,
    retained_by_topic: Mapping[str, Bounds],
    on_step: Say,
    *,
    tables: bool,
) -> Report:
    expect(engine, folder, extent, listed(settings.feeds), settings.candles.grace_us)
    retention = settings.candles.retention if tables else None
    parts = work(engine, folder, extent, retained_by_topic, retention)
    comparisons = []
    for number, (layer, compare) in enumerate(parts.items(), 1):
        on_step(f"comparing layer {number} of {len(parts)}: {layer}")
        comparisons.append(compare())
    found = engine.number("SELECT count() FROM needed")
    return Report(counts(engine), found, comparisons)
