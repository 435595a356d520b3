"""Table look-ups over REST on the whole platform, while its worker folds.

python -m benchmarks.lookups [--rates 500,1000,2000,5000] [--connections 32] [--trades 2000] [--parts folds]

A fixed number of requests per second, keys uniform over all symbols and stored timeframes, one candle each.
The criterion is p99 < 20 ms with 5,000 requests/s on 32 connections beside 2,000 trades/s, on two cores.
`--parts` says what shares them: `folds` is the candles worker with the stack, for which canonical trades are
written as a normaliser does; `feeds` has exchanges, ingest and normaliser instead; `all` has the sinks, too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import click
from rich.console import Console

from benchmarks import results
from benchmarks.machine import machine, versions
from benchmarks.measure import cpu_seconds
from k2stream import topics
from k2stream.avro import registry
from k2stream.platform.platform import WORKERS, Platform, Simulation
from k2stream.platform.scrape import scrape
from k2stream.settings import Settings, make

SINKS = ("hot", "cold", "certify")
PARTS = {
    "all": WORKERS,
    "feeds": tuple(spec for spec in WORKERS if spec.role not in SINKS),
    "folds": tuple(spec for spec in WORKERS if spec.role == "candles"),
}

console = Console()


@click.command()
@click.option(
    "--rates", default="500,1000,2000,5000", show_default=True, help="Requests per second, in turn."
)
@click.option("--connections", default=32, show_default=True, help="HTTP connections.")
@click.option("--trades", default=2000, show_default=True, help="Trades per second, over all exchanges.")
@click.option("--seconds", default=30.0, show_default=True, help="How long each rate is measured.")
@click.option("--warm-up", default=60.0, show_default=True, help="Seconds before, which are not measured.")
@click.option("--parts", type=click.Choice(list(PARTS)), default="all", show_default=True, help="What runs.")
def main(rates: str, connections: int, trades: int, seconds: float, warm_up: float, parts: str) -> None:
    """Measure, print the figures and keep them in benchmarks/results/partial.json."""
    with tempfile.TemporaryDirectory(prefix="k2-lookups-", ignore_cleanup_errors=True) as folder:
        settings = make(data_dir=folder, broker_heap_mb=512)
        simulation = None if parts == "folds" else Simulation(trades)
        platform = Platform(settings, simulation, console.print, workers=PARTS[parts])
        asked = Asked(tuple(map(int, rates.split(","))), connections, seconds)
        found = asyncio.run(_measure(platform, asked, warm_up, 0 if simulation else trades))
    about = {"connections": connections, "trades_per_second": trades, "parts": parts}
    results.keep(
        {"lookups": about | {"rates": found}, "machine": machine(), "versions": versions()}, "partial"
    )


class Asked(NamedTuple):
    """What clients ask: requests per second, one rate after the other, each for so many seconds."""

    rates: tuple[int, ...]
    connections: int
    seconds: float


async def _measure(platform: Platform, asked: Asked, warm_up: float, trades: int) -> dict[str, Any]:
    found = {}
    async with AsyncExitStack() as running:
        await running.enter_async_context(platform)
        if trades:
            writing = await _write(platform.settings, trades)
            running.callback(writing.terminate)
        await asyncio.sleep(warm_up)
        for rate in asked.rates:
            found[str(rate)] = await _at(rate, asked, platform)
            console.print_json(data={str(rate): found[str(rate)]})
    return found


async def _write(settings: Settings, trades: int) -> Process:
    registry.use(settings.kafka.registry)
    schema = await registry.register(topics.NORMALIZED, "trade")
    arguments = settings.kafka.bootstrap, str(schema), str(trades), "3600", settings.feeds.instruments_file
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stages.canonical_trades", *map(str, arguments)
    )


async def _at(rate: int, asked: Asked, platform: Platform) -> dict[str, Any]:
    worker = platform.workers["candles"]
    port = platform.service_url.rpartition(":")[2]
    began = time.perf_counter()
    before, folded = cpu_seconds(worker.pid), await _folded(platform)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.stages.lookup_clients", port, str(asked.connections), str(rate)),
        *(str(asked.seconds), str(platform.settings.feeds.instruments_file)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    used, folded = cpu_seconds(worker.pid) - before, await _folded(platform) - folded
    took = time.perf_counter() - began
    return {
        **json.loads(out),
        "worker_cpu_percent": round(100 * used / asked.seconds, 1),
        "folded_per_second": round(folded / took),
    }


async def _folded(platform: Platform) -> float:
    seen = await scrape(platform.urls, platform.settings.worker)
    return seen.get("k2_latency_seconds_count", to="candle") or 0.0


if __name__ == "__main__":
    main()
