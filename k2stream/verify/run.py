"""One verification: the oracle, every layer, and how they compare."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from k2stream import instruments, topics
from k2stream.avro import registry
from k2stream.avro.trades import decode_hot
from k2stream.deadletter import DeadLetter
from k2stream.settings import Settings
from k2stream.verify import layers
from k2stream.verify.compare import NOTHING, Comparison, compare_candles, compare_counts
from k2stream.verify.oracle import LayerSum, Oracle
from k2stream.verify.raw_log import dump_raw, read_to_end


@dataclass(slots=True)
class Report:
    """What was found; `counts` is {exchange: {layer: rows}}."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    candles: int = 0
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def differences(self) -> int:
        """Disagreements over all layers."""
        return sum(len(item.differences) for item in self.comparisons)


async def verify(
    settings: Settings,
    candles_url: str | None,
    on_step: Callable[[str], None] = lambda text: None,
    settle: Callable[[], Awaitable[None]] | None = None,
) -> Report:
    """Recompute everything from the raw topics and compare each layer with it.

    `candles_url` is the candles worker's base URL; without it the tables are not compared. `settle` is for a
    platform that runs on: it waits until all layers have what the oracle has read; they may then have more.
    """
    on_step("reading the raw topics")
    with tempfile.TemporaryDirectory(prefix="k2-verify-") as folder:
        raw = await dump_raw(settings, Path(folder))
        on_step(f"recomputing {sum(raw.values()):,} trades with the oracle")
        oracle = await asyncio.to_thread(Oracle, Path(folder), settings.grace_us)
        try:
            if settle:
                on_step("waiting for the layers to get so far")
                await settle()
            return await _compare(settings, candles_url, oracle, on_step, live=settle is not None)
        finally:
            oracle.close()


async def _compare(
    settings: Settings, candles_url: str | None, oracle: Oracle, on_step: Callable[[str], None], *, live: bool
) -> Report:
    report = Report()
    candles = oracle.candles()
    report.candles = len(candles)
    listed = instruments.load(settings.instruments_file)
    if candles_url:
        on_step("comparing the candle tables")
        limit = settings.candle_retention
        found = await layers.table_candles(candles_url, listed, limit)
        report.comparisons.append(compare_candles("candle tables", candles, found, limit))
    on_step("comparing ClickHouse")
    found = await asyncio.to_thread(layers.clickhouse_candles, settings)
    report.comparisons.append(compare_candles("ClickHouse gold", candles, found))
    on_step("comparing Iceberg")
    found = await asyncio.to_thread(layers.iceberg_candles, settings)
    report.comparisons.append(compare_candles("Iceberg gold", candles, found))
    await _counts(settings, oracle, report, live)
    return report


async def _counts(settings: Settings, oracle: Oracle, report: Report, live: bool) -> None:
    raw, good = oracle.layer(), oracle.layer("good AND NOT duplicate")
    rows_only = {name: LayerSum(held.rows, 0, 0) for name, held in raw.items()}
    normalized = await _normalized(settings)
    hot = await asyncio.to_thread(layers.clickhouse_sums, settings)
    cold = await asyncio.to_thread(layers.iceberg_sums, settings)
    wanted = {name: LayerSum(held.rows, 0, 0) for name, held in good.items()}
    positions = {name: LayerSum(rows, 0, 0) for name, rows in normalized.items()}
    report.comparisons += [
        compare_counts("normalized topic", wanted, positions, live),
        compare_counts("ClickHouse bronze", rows_only, hot["bronze"], live),
        compare_counts("ClickHouse silver", good, hot["silver"], live),
        compare_counts("Iceberg bronze", rows_only, cold["bronze"], live),
        compare_counts("Iceberg silver", good, cold["silver"], live),
    ]
    duplicates, late = oracle.layer("good AND duplicate"), oracle.late()
    dead = await _dead_letters(settings)
    for name in topics.EXCHANGES:
        report.counts[name] = {
            "raw": raw.get(name, NOTHING).rows,
            "duplicates": duplicates.get(name, NOTHING).rows,
            "dead letters": dead[name],
            "normalized": normalized.get(name, 0),
            "late": late.get(name, 0),
            "bronze": hot["bronze"].get(name, NOTHING).rows,
            "silver": hot["silver"].get(name, NOTHING).rows,
            "cold bronze": cold["bronze"].get(name, NOTHING).rows,
            "cold silver": cold["silver"].get(name, NOTHING).rows,
        }


async def _normalized(settings: Settings) -> dict[str, int]:
    """Distinct raw positions in the normalized topic, per exchange."""
    seen: dict[str, set[tuple[int, int]]] = {}
    async for _, records in read_to_end(settings, topics.NORMALIZED):
        registry.look_up((record.value for record in records), settings.registry_url)
        hot = decode_hot([record.value for record in records], [record.key for record in records])
        exchanges = [key.partition(":")[0] for key in hot.keys]
        positions = zip(hot.key.tolist(), hot.raw_partition.tolist(), hot.raw_offset.tolist(), strict=True)
        for key, partition, offset in positions:
            seen.setdefault(exchanges[key], set()).add((partition, offset))
    return {name: len(positions) for name, positions in seen.items()}


async def _dead_letters(settings: Settings) -> Counter[str]:
    count: Counter[str] = Counter()
    async for _, records in read_to_end(settings, topics.DLQ):
        count.update(msgspec.json.decode(record.value, type=DeadLetter).exchange for record in records)
    return count
