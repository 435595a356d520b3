"""Table look-ups over REST on the whole platform, while its worker folds.

python -m benchmarks.lookups [--rate 5000] [--connections 32] [--trades 2000] [--seconds 60]

A fixed number of requests per second, keys uniform over all symbols and stored timeframes, one candle each.
The criterion is p99 < 20 ms with 5,000 requests/s on 32 connections beside 2,000 trades/s, on two cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import results
from benchmarks.machine import machine, versions
from benchmarks.measure import cpu_seconds
from k2stream.platform.platform import Platform, Simulation
from k2stream.settings import make

console = Console()


@click.command()
@click.option("--rate", default=5000, show_default=True, help="Requests per second.")
@click.option("--connections", default=32, show_default=True, help="HTTP connections.")
@click.option("--trades", default=2000, show_default=True, help="Trades per second, over all exchanges.")
@click.option("--seconds", default=60.0, show_default=True, help="How long it is measured.")
@click.option("--warm-up", default=60.0, show_default=True, help="Seconds before, which are not measured.")
def main(rate: int, connections: int, trades: int, seconds: float, warm_up: float) -> None:
    """Measure, print the figures and keep them in benchmarks/results/partial.json."""
    with tempfile.TemporaryDirectory(prefix="k2-lookups-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(_measure(Path(folder), rate, connections, trades, seconds, warm_up))
    console.print_json(data=found)
    results.keep({"lookups": found, "machine": machine(), "versions": versions()}, "partial")


async def _measure(
    folder: Path, rate: int, connections: int, trades: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    settings = make(data_dir=str(folder), broker_heap_mb=512)
    async with Platform(settings, Simulation(trades), console.print) as platform:
        await asyncio.sleep(warm_up)
        worker = next(child for child in platform._children if child.name.startswith("candles"))
        port = platform.service_url.rpartition(":")[2]
        before = cpu_seconds(worker.pid)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.stages.lookup_clients", port, str(connections), str(rate)),
            *(str(seconds), str(settings.feeds.instruments_file)),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        used = cpu_seconds(worker.pid) - before
    asked = {"rate": rate, "connections": connections, "trades_per_second": trades}
    return {**asked, **json.loads(out), "worker_cpu_percent": round(100 * used / seconds, 1)}


if __name__ == "__main__":
    main()
