"""What one table look-up over REST costs the worker: CPU of the service alone, over full tables in memory.

python -m benchmarks.lookup_cost [--rate 500] [--seconds 10] [--windows 500]

Keys are uniform over all symbols and stored timeframes, one candle each, on 32 connections. CPU is of the
service's process, kernel included, per request.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import click

from benchmarks.measure import cpu_seconds
from k2stream.settings import make


@click.command()
@click.option("--rate", default=500, show_default=True, help="Requests per second.")
@click.option("--seconds", default=10.0, show_default=True, help="How long is measured.")
@click.option("--windows", default=500, show_default=True, help="Per symbol and timeframe.")
def main(rate: int, seconds: float, windows: int) -> None:
    """Measure and print."""
    click.echo(json.dumps(asyncio.run(_measure(rate, seconds, windows))))


async def _measure(rate: int, seconds: float, windows: int) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    service = await _run("lookup_service", str(windows), stdin=pipe)
    assert service.stdin is not None
    assert service.stdout is not None
    port = (await service.stdout.readline()).decode().strip()
    await _ask(port, rate, 2.0)
    before = cpu_seconds(service.pid)
    found = await _ask(port, rate, seconds)
    used = cpu_seconds(service.pid) - before
    service.stdin.close()
    await service.wait()
    return {**found, "cpu_us_per_request": round(1e6 * used / (rate * seconds))}


async def _ask(port: str, rate: int, seconds: float) -> dict[str, Any]:
    file = make().feeds.instruments_file
    out, _ = await (await _run("lookup_clients", port, "32", str(rate), str(seconds), file)).communicate()
    found: dict[str, Any] = json.loads(out)
    return found


async def _run(stage: str, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
    program = sys.executable, "-m", f"benchmarks.stages.{stage}"
    return await asyncio.create_subprocess_exec(
        *program, *arguments, stdout=asyncio.subprocess.PIPE, **options
    )


if __name__ == "__main__":
    main()
