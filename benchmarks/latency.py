"""Latency of the whole platform on simulated exchanges: socket to canonical topic, candle table, ClickHouse.

python -m benchmarks.latency [--rates 200,10000] [--seconds 60]

Embedded stack, simulator and all workers share the machine. Quantiles are upper bounds of histogram buckets
12 % apart, of the time after the warm-up only. Also CPU and memory of every process, and lag.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.machine import machine, versions
from benchmarks.measure import cpu_seconds, rss_mb
from k2stream.kafka.lag import LagReader
from k2stream.platform.platform import Platform, Simulation
from k2stream.platform.scrape import Samples, scrape
from k2stream.settings import make

HOPS = ("normalized", "candle", "silver", "gold")
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
ENGINES = ("kafka", "registry", "clickhouse", "simulate")
"""Not K2's own processes."""

console = Console()


@click.command()
@click.option(
    "--rates", default="200,10000", show_default=True, help="Trades per second, over all exchanges."
)
@click.option("--seconds", default=60.0, show_default=True, help="How long each rate is measured.")
@click.option("--warm-up", default=90.0, show_default=True, help="Seconds before, which are not measured.")
@click.option("--partial", is_flag=True, help="Write results/partial.json, not latest.json.")
def main(rates: str, seconds: float, warm_up: float, partial: bool) -> None:
    """Measure each rate on a fresh platform and add the figures to benchmarks/results/."""
    found: dict[str, Any] = {"latency_ms": {}, "rss_mb": {"platform": {}}, "platform": {}}
    # Nothing is deleted in between: while the file system is busy with that, every new file takes longer.
    with tempfile.TemporaryDirectory(prefix="k2-latency-", ignore_cleanup_errors=True) as folder:
        for rate in map(int, rates.split(",")):
            measured = asyncio.run(_measure(Path(folder) / str(rate), rate, seconds, warm_up))
            found["latency_ms"][str(rate)] = measured.pop("latency_ms")
            found["rss_mb"]["platform"][str(rate)] = measured["rss_mb"]
            found["platform"][str(rate)] = measured
            _show(rate, found["latency_ms"][str(rate)], measured)
    about = {"machine": machine(), "versions": versions()}
    results.keep(found | about, "partial" if partial else "latest")


async def _measure(folder: Path, rate: int, seconds: float, warm_up: float) -> dict[str, Any]:
    settings = make(data_dir=str(folder), broker_heap_mb=512)
    async with Platform(settings, Simulation(rate), console.print) as platform:
        await _run_for(platform, warm_up)
        async with LagReader(platform.settings) as lags:
            before, cpu = await scrape(platform.urls, platform.settings.worker), _cpu(platform)
            lag, began = _waiting(await lags.lag()), time.perf_counter()
            await _run_for(platform, seconds)
            took = time.perf_counter() - began
            after, used = await scrape(platform.urls, platform.settings.worker), _cpu(platform)
            lag_after = _waiting(await lags.lag())
            memory = {child.name: round(rss_mb(child.pid)) for child in platform._children}
    passed = _difference(after, before)
    return {
        "seconds": round(took, 1),
        "trades_per_second": round(passed.get("k2_raw_trades_total") / took),
        "latency_ms": {hop: _quantiles(passed, hop) for hop in HOPS},
        "cpu_percent": {name: round(100 * (used[name] - cpu[name]) / took, 1) for name in used},
        "rss_mb": memory,
        "own_rss_mb": sum(used for name, used in memory.items() if name not in ENGINES),
        "lag": {"start": lag, "end": lag_after},
        "restarts": sum(platform.restarts.values()),
        "errors": {
            name: passed.get(f"k2_{name}_total")
            for name in ("sink_errors", "reconnects", "rejected", "gap_trades")
        },
    }


async def _run_for(platform: Platform, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 1.0))
        await platform.heal()


def _cpu(platform: Platform) -> dict[str, float]:
    return {child.name: cpu_seconds(child.pid) for child in platform._children}


def _waiting(lags: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {group: sum(topics.values()) for group, topics in lags.items()}


def _difference(after: Samples, before: Samples) -> Samples:
    return Samples(
        {
            name: {
                labels: value - before.values.get(name, {}).get(labels, 0.0)
                for labels, value in series.items()
            }
            for name, series in after.values.items()
        }
    )


def _quantiles(samples: Samples, hop: str) -> dict[str, float]:
    found = {name: samples.quantile("k2_latency_seconds", share, to=hop) for name, share in QUANTILES.items()}
    return {name: round(value * 1000, 1) for name, value in found.items() if value is not None}


def _show(rate: int, latency: Mapping[str, Mapping[str, float]], measured: Mapping[str, Any]) -> None:
    console.print(
        f"\n{rate:,} trades/s asked, {measured['trades_per_second']:,} taken, for {measured['seconds']:g} s; "
        f"records waiting {measured['lag']}; K2's own processes {measured['own_rss_mb']:,} MB"
    )
    hops = Table("socket to", *QUANTILES, box=None, pad_edge=False)
    for hop, quantiles in latency.items():
        hops.add_row(hop, *(f"{quantiles.get(name, float('nan')):g} ms" for name in QUANTILES))
    console.print(hops)
    processes = Table("process", "CPU %", "RSS MB", box=None, pad_edge=False)
    for name, used in measured["rss_mb"].items():
        processes.add_row(name, f"{measured['cpu_percent'].get(name, 0):g}", f"{used:,}")
    console.print(processes)


if __name__ == "__main__":
    main()
