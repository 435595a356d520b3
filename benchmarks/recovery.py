"""How long the candle worker takes to rebuild a table from a changelog.

python -m benchmarks.recovery [--entries 1000000]

The changelog of ohlcv_1m is written in the worker's own encoding, REVISIONS entries a window, as an
uncompacted one has them. Recovery is the time from start to ready with it, less the same with an empty one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import click
import httpx
import msgspec
from rich.console import Console

from benchmarks import load, results
from benchmarks.broker import NewTopics, reset
from benchmarks.runner import Bench, bench
from k2stream import topics
from k2stream.batch.windows import dump_window_key, window_key
from k2stream.candles.codec import dumps_state
from k2stream.candles.state import State
from k2stream.exchanges.binance import BINANCE
from k2stream.local.ports import HOST, free_port
from k2stream.local.process import Child
from k2stream.settings import environment

CHANGELOG = "k2-candles-ohlcv_1m-changelog"
REVISIONS = 50
_MINUTE = 60
_WINDOWS_A_BATCH = 40
_READY_WITHIN = 600.0

console = Console()


@click.command()
@click.option("--entries", default=1_000_000, show_default=True, help="Changelog entries.")
@click.option("--runs", default=3, show_default=True)
@click.option("--partial", is_flag=True, help="Write results/partial.json, not latest.json.")
def main(entries: int, runs: int, partial: bool) -> None:
    """Measure and add the figures to benchmarks/results/."""
    folder = Path(tempfile.mkdtemp(prefix="k2-recovery-"))
    try:
        found = asyncio.run(_run(folder, entries, runs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(found)
    results.keep({"recovery": found}, "partial" if partial else "latest")


async def _run(folder: Path, entries: int, runs: int) -> dict[str, float]:
    async with bench(folder, load.Load(records=10_000)) as ready:
        empty = median([await _start_seconds(ready, 0) for _ in range(runs)])
        full = median([await _start_seconds(ready, entries) for _ in range(runs)])
    return {
        "entries": entries,
        "start_seconds": round(full, 2),
        "start_seconds_empty": round(empty, 2),
        "recovery_seconds": round(full - empty, 2),
        "entries_per_second": round(entries / (full - empty)),
    }


async def _start_seconds(ready: Bench, entries: int) -> float:
    """From the start of a candle worker to ready."""
    partitions = ready.loaded.partitions
    bootstrap = ready.servers.canonical.bootstrap
    state = ready.fresh_state()
    settings = msgspec.structs.replace(ready.settings(ready.servers.canonical, state), web_port=free_port())
    outputs = [NewTopics((topic.name,), topic.partitions) for topic in topics.declared(settings)]
    await reset(bootstrap, {topics.NORMALIZED}, [*outputs, NewTopics((CHANGELOG,), partitions)])
    if entries:
        await load.send(bootstrap, CHANGELOG, _entries(ready.loaded, entries))
    begun = time.perf_counter()
    worker = await Child.spawn(
        "recovery",
        [sys.executable, "-m", "k2stream", "worker", "candles"],
        ready.folder / "logs" / "recovery.log",
        env={**os.environ, **environment(settings)},
    )
    try:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:

            async def is_ready() -> bool:
                try:
                    return (await client.get(f"http://{HOST}:{settings.web_port}/health")).is_success
                except httpx.TransportError:
                    return False

            await worker.until_ready(is_ready, _READY_WITHIN)
        return time.perf_counter() - begun
    finally:
        await worker.stop(10)


def _entries(loaded: load.Load, entries: int) -> Iterator[load.Batch]:
    """Windows one after the other, each with all its revisions."""
    names = loaded.names()
    windows = entries // REVISIONS // len(names)
    if not windows:
        raise click.UsageError(f"at least {REVISIONS * len(names):,} entries are needed")
    for name in names:
        key, partition = f"binance:{BINANCE.canonical(name)}", topics.partition_of(name, loaded.partitions)
        starts = [load.START_MS // 1000 + number * _MINUTE for number in range(windows)]
        for at in range(0, windows, _WINDOWS_A_BATCH):
            part = [start for start in starts[at : at + _WINDOWS_A_BATCH] for _ in range(REVISIONS)]
            yield load.Batch(
                partition,
                [dump_window_key(window_key(key, start, _MINUTE)) for start in part],
                [dumps_state(_state(start, partition)) for start in part],
                [start * 1000 for start in part],
            )


def _state(start: int, partition: int) -> State:
    price, quantity, at, number = 43_000 * 10**18, 17 * 10**17, start * 1_000_000, start
    return State(
        open=price,
        high=price + 10**18,
        low=price - 10**18,
        close=price,
        open_at=(at, number, number),
        close_at=(at + 59_000_000, number + 99, number + 99),
        volume=quantity,
        quote=quantity * price,
        taker_buy_volume=quantity // 2,
        taker_buy_quote=quantity // 2 * price,
        trade_count=100,
        records=100,
        receive_time=at + 59_000_000,
        raw_partition=partition,
        raw_offset=number + 99,
        final=True,
    )


if __name__ == "__main__":
    main()
