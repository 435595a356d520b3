"""Streams on the whole platform: 1,000 clients of one symbol, beside the same platform without them.

python -m benchmarks.streams [--clients 1000] [--rate 200] [--seconds 60] [--parts feeds]

`--parts` says what shares the cores, as in benchmarks.lookups. Two measurements on one platform, one after
the other: the delay from socket to candle and the worker's CPU without clients, then with them, and the
clients' own delay from a revision's publication to its arrival. A revision is published at most
K2_CANDLE_EMIT_SECONDS after it was folded, which comes on top.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from typing import Any

import click
from rich.console import Console

from benchmarks import results
from benchmarks.lookups import PARTS
from benchmarks.machine import machine, versions
from benchmarks.measure import cpu_seconds
from k2stream import instruments
from k2stream.platform.platform import Platform, Simulation
from k2stream.platform.scrape import Samples, scrape
from k2stream.settings import make

console = Console()


@click.command()
@click.option("--clients", default=1000, show_default=True, help="WebSocket clients.")
@click.option("--rate", default=200, show_default=True, help="Trades per second, over all exchanges.")
@click.option("--seconds", default=60.0, show_default=True, help="How long each half is measured.")
@click.option("--warm-up", default=60.0, show_default=True, help="Seconds before, which are not measured.")
@click.option(
    "--parts", type=click.Choice(("all", "feeds")), default="all", show_default=True, help="As in lookups."
)
def main(clients: int, rate: int, seconds: float, warm_up: float, parts: str) -> None:
    """Measure, print the figures and keep them in benchmarks/results/partial.json."""
    with tempfile.TemporaryDirectory(prefix="k2-streams-", ignore_cleanup_errors=True) as folder:
        platform = Platform(
            make(data_dir=folder, broker_heap_mb=512), Simulation(rate), console.print, workers=PARTS[parts]
        )
        found = {"parts": parts, "rate": rate} | asyncio.run(_measure(platform, clients, seconds, warm_up))
    console.print_json(data=found)
    results.keep({"streams": found, "machine": machine(), "versions": versions()}, "partial")


async def _measure(platform: Platform, clients: int, seconds: float, warm_up: float) -> dict[str, Any]:
    first = instruments.load(platform.settings.feeds.instruments_file)[0]
    asked = {"op": "subscribe", "id": 1, "channel": "candles", "timeframe": "1m"}
    request = json.dumps({**asked, "exchange": first.exchange, "symbol": first.canonical})
    async with platform:
        await asyncio.sleep(warm_up)
        alone = await _half(platform, seconds)
        port = platform.service_url.rpartition(":")[2]
        arguments = [port, str(clients), str(seconds + 10), request]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.stages.stream_clients"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        await asyncio.sleep(10)  # while they connect
        beside = await _half(platform, seconds)
        out, _ = await process.communicate()
    return {"clients": clients, "alone": alone, "beside": beside, "delay_ms": json.loads(out)}


async def _half(platform: Platform, seconds: float) -> dict[str, Any]:
    worker = next(child for child in platform._children if child.name.startswith("candles"))
    before, cpu = await scrape(platform.urls, platform.settings.worker), cpu_seconds(worker.pid)
    await asyncio.sleep(seconds)
    after, used = await scrape(platform.urls, platform.settings.worker), cpu_seconds(worker.pid) - cpu
    passed = Samples(
        {
            name: {
                labels: value - before.values.get(name, {}).get(labels, 0.0)
                for labels, value in found.items()
            }
            for name, found in after.values.items()
        }
    )
    delay = {share: passed.quantile("k2_latency_seconds", share, to="candle") for share in (0.5, 0.99)}
    return {
        "cpu_percent": round(100 * used / seconds, 1),
        "socket_to_candle_ms": {
            f"p{100 * share:g}": round(1000 * (at or 0), 1) for share, at in delay.items()
        },
    }


if __name__ == "__main__":
    main()
