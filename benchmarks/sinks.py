"""K2's sinks against the libraries under them: the same silver rows into the same tables, in equal blocks.

python -m benchmarks.sinks [--rows 1000000]

The plain libraries are given values that are ready: lists of Python values for clickhouse-driver, Arrow
tables for pyiceberg, and neither of them remembers any position. K2 is measured twice: `write` begins with
rows that are ready too, and ends with durable rows and positions; `sink` is all of it, from canonical Kafka
records over decoding and deduplication to their acknowledgement.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import click
import numpy as np
import pyarrow as pa
from clickhouse_driver import Client
from faust.types import TP
from rich.console import Console
from rich.table import Table

from benchmarks import load, results
from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.delivery.route import Route, stored
from k2stream.delivery.sink import Destination, Policy, Sink
from k2stream.embedded.stack import Stack
from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.layers import silver
from k2stream.layers.schema import SILVER
from k2stream.platform.addresses import local_settings
from k2stream.settings import Settings, make

SCHEMA_ID = 1007
DELIVERY_RECORDS = 3_000
COLD = tables.TABLES["cold.silver_trades"]

console = Console()


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--partial", is_flag=True, help="Write results/partial.json, not latest.json.")
def main(rows: int, runs: int, partial: bool) -> None:
    """Measure and add the figures to benchmarks/results/."""
    folder = Path(tempfile.mkdtemp(prefix="k2-sinks-"))
    try:
        found = asyncio.run(_run(folder, rows, runs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results.keep({"sinks": found}, "partial" if partial else "latest")


async def _run(folder: Path, rows: int, runs: int) -> dict[str, dict[str, float]]:
    registry.learn(SCHEMA_ID, wire.declared("trade"))
    batches = list(deliveries(rows))
    settings = make(data_dir=str(folder))
    found: dict[str, dict[str, float]] = {}
    async with Stack(folder, Path(settings.local.cache_dir)) as stack:
        settings = local_settings(settings, stack.endpoints)
        for tier, measure in (("ClickHouse", _hot), ("Iceberg", _cold)):
            took = [await measure(settings, batches) for _ in range(runs)]
            found[tier] = {name: rows / median(run[name] for run in took) for name in took[0]}
    _print(found)
    return {tier: {name: round(rate) for name, rate in rates.items()} for tier, rates in found.items()}


def _print(found: dict[str, dict[str, float]]) -> None:
    heads = ("silver rows into", "plain library /s", "K2's write /s", "of plain", "K2's sink /s", "of plain")
    table = Table(*heads, box=None, pad_edge=False)
    for tier, rates in found.items():
        plain = rates["plain"]
        ours = [(f"{rates[name]:,.0f}", f"{rates[name] / plain:.0%}") for name in ("write", "sink")]
        table.add_row(tier, f"{plain:,.0f}", *ours[0], *ours[1])
    console.print(table)


def deliveries(rows: int) -> Iterator[RecordBatch]:
    """Canonical records of now, as the batch engine delivers them."""
    trades = load.generate(load.Load(rows))
    now = time.time_ns() // 1_000_000
    trades = replace(trades, time_ms=trades.time_ms - load.START_MS + now)
    keys = [f"binance:{load.BINANCE.canonical(name)}".encode() for name in trades.names]
    for start in range(0, rows, DELIVERY_RECORDS):
        part = trades.rows(np.arange(start, min(start + DELIVERY_RECORDS, rows)))
        offsets = np.arange(start, start + len(part.id))
        values: list[bytes | None] = [*load.canonical_values(part, 0, start, SCHEMA_ID)]
        names = [keys[symbol] for symbol in part.symbol.tolist()]
        yield RecordBatch(TP(topics.NORMALIZED, 0), offsets, part.time_ms, names, values)


def _arrow(batches: Sequence[RecordBatch], size: int) -> list[pa.Table]:
    """The rows as plain tables of a size."""
    whole = stored(pa.concat_tables([silver.columns(batch) for batch in batches]).unify_dictionaries())
    return [whole.slice(start, size).combine_chunks() for start in range(0, len(whole), size)]


def _copies(batches: Sequence[RecordBatch]) -> list[RecordBatch]:
    """A sink lets go of what a delivery holds."""
    return [replace(batch, keys=list(batch.keys), values=list(batch.values)) for batch in batches]


async def _hot(settings: Settings, batches: Sequence[RecordBatch]) -> dict[str, float]:
    client = connect(settings.clickhouse)
    client.execute(f"DROP DATABASE IF EXISTS {settings.clickhouse.database}")
    size = settings.sinks.max_rows
    ours = await _sink(ClickHouse(settings.clickhouse), silver.ROUTE, _copies(batches), size)
    target = f"{settings.clickhouse.database}.silver_trades"
    count = sum(map(len, batches))
    assert client.execute(f"SELECT count() FROM {target} FINAL") == [(count,)]
    client.execute(f"TRUNCATE TABLE {target}")
    names = SILVER.names
    blocks = [
        [
            [dict(value) for value in part[name].to_pylist()]
            if name == "vendor_data"
            else part[name].to_pylist()
            for name in names
        ]
        for part in _arrow(batches, size)
    ]
    plain = Client(host=settings.clickhouse.host, port=settings.clickhouse.port)
    started = time.perf_counter()
    for columns in blocks:
        plain.execute(f"INSERT INTO {target} ({', '.join(names)}) VALUES", columns, columnar=True)
    took = time.perf_counter() - started
    assert client.execute(f"SELECT count() FROM {target} FINAL") == [(count,)]
    return {"plain": took, **ours}


async def _cold(settings: Settings, batches: Sequence[RecordBatch]) -> dict[str, float]:
    catalog = open_catalog(settings.iceberg)
    size, count = settings.sinks.cold_commit_rows, sum(map(len, batches))

    def fresh() -> None:
        if catalog.table_exists(COLD.name):
            catalog.drop_table(COLD.name)
        tables.ensure(catalog, COLD)

    fresh()
    ours = await _sink(Iceberg(settings.iceberg), COLD.route, _copies(batches), size)
    assert catalog.load_table(COLD.name).scan().count() == count
    fresh()
    schema = catalog.load_table(COLD.name).schema().as_arrow()
    parts = [part.cast(schema) for part in _arrow(batches, size)]
    started = time.perf_counter()
    for part in parts:
        catalog.load_table(COLD.name).append(part)
    took = time.perf_counter() - started
    assert catalog.load_table(COLD.name).scan().count() == count
    return {"plain": took, **ours}


async def _sink(
    destination: Destination, route: Route, batches: Sequence[RecordBatch], size: int
) -> dict[str, float]:
    """Seconds until all are acknowledged, and of them those of writing."""
    acknowledged = 0

    async def acknowledge() -> None:
        nonlocal acknowledged
        acknowledged += 1

    async def earliest(partition: object) -> int:
        return 0

    async def go_back(offsets: object, between: object) -> None:
        raise AssertionError(f"the destination lost rows: {offsets}")

    await asyncio.to_thread(destination.prepare, [route])
    sink = Sink(destination, Policy(3600.0, size, 1 << 40, 1.0), earliest, go_back)
    running = asyncio.create_task(sink.run())
    started, writing, held = time.perf_counter(), 0.0, 0
    for batch in batches:
        held += len(batch)
        await sink.put(route, batch, acknowledge)  # a delivery of so many becomes rows at once
        if held >= size or batch is batches[-1]:
            flushing = time.perf_counter()
            await sink.flush()
            writing += time.perf_counter() - flushing
            held = 0
    took = time.perf_counter() - started
    assert acknowledged == len(batches)
    await sink.close()
    running.cancel()
    return {"write": writing, "sink": took}


if __name__ == "__main__":
    main()
