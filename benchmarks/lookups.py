"""Table look-ups over REST on the whole platform, while its worker folds.

python -m benchmarks.lookups [--rates 500,1000,2000,5000] [--connections 32] [--trades 2000] [--no-sinks]

A fixed number of requests per second, keys uniform over all symbols and stored timeframes, one candle each.
The criterion is p99 < 20 ms with 5,000 requests/s on 32 connections beside 2,000 trades/s, on two cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from typing import Any, NamedTuple

import click
from rich.console import Console

from benchmarks import results
from benchmarks.machine import machine, versions
from benchmarks.measure import cpu_seconds
from k2stream.platform.platform import WORKERS, Platform, Simulation
from k2stream.settings import make

SINKS = ("hot", "cold", "certify")

console = Console()


@click.command()
@click.option(
    "--rates", default="500,1000,2000,5000", show_default=True, help="Requests per second, in turn."
)
@click.option("--connections", default=32, show_default=True, help="HTTP connections.")
@click.option("--trades", default=2000, show_default=True, help="Trades per second, over all exchanges.")
@click.option("--seconds", default=30.0, show_default=True, help="How long each rate is measured.")
@click.option("--warm-up", default=60.0, show_default=True, help="Seconds before, which are not measured.")
@click.option(
    "--sinks/--no-sinks", default=True, show_default=True, help="Whether hot, cold and certify run."
)
def main(rates: str, connections: int, trades: int, seconds: float, warm_up: float, sinks: bool) -> None:
    """Measure, print the figures and keep them in benchmarks/results/partial.json."""
    workers = WORKERS if sinks else tuple(spec for spec in WORKERS if spec.role not in SINKS)
    with tempfile.TemporaryDirectory(prefix="k2-lookups-", ignore_cleanup_errors=True) as folder:
        settings = make(data_dir=folder, broker_heap_mb=512)
        platform = Platform(settings, Simulation(trades), console.print, workers=workers)
        asked = Asked(tuple(map(int, rates.split(","))), connections, seconds)
        found = asyncio.run(_measure(platform, asked, warm_up))
    about = {"connections": connections, "trades_per_second": trades, "sinks": sinks}
    results.keep(
        {"lookups": about | {"rates": found}, "machine": machine(), "versions": versions()}, "partial"
    )


class Asked(NamedTuple):
    """What clients ask: requests per second, one rate after the other, each for so many seconds."""

    rates: tuple[int, ...]
    connections: int
    seconds: float


async def _measure(platform: Platform, asked: Asked, warm_up: float) -> dict[str, Any]:
    found = {}
    async with platform:
        await asyncio.sleep(warm_up)
        for rate in asked.rates:
            found[str(rate)] = await _at(rate, asked, platform)
            console.print_json(data={str(rate): found[str(rate)]})
    return found


async def _at(rate: int, asked: Asked, platform: Platform) -> dict[str, Any]:
    worker = platform.workers["candles"]
    port = platform.service_url.rpartition(":")[2]
    before = cpu_seconds(worker.pid)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.stages.lookup_clients", port, str(asked.connections), str(rate)),
        *(str(asked.seconds), str(platform.settings.feeds.instruments_file)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    used = cpu_seconds(worker.pid) - before
    return {**json.loads(out), "worker_cpu_percent": round(100 * used / asked.seconds, 1)}


if __name__ == "__main__":
    main()
