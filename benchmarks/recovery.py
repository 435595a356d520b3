"""How fast the candle worker rebuilds a table from its changelog.

python -m benchmarks.recovery [--entries 1000000]

The changelog of ohlcv_1m is written in the worker's own encoding, REVISIONS entries a window, as an
uncompacted one has them.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from benchmarks import load, progress, results
from benchmarks.broker import NewTopics, reset
from benchmarks.measure import Figures, counted, measure
from benchmarks.runner import Bench, bench
from k2stream import topics
from k2stream.batch._windows import dump_window_key, window_key
from k2stream.candles.codec import dumps_state
from k2stream.candles.state import State
from k2stream.exchanges.binance import BINANCE
from k2stream.settings import environment

CHANGELOG = "k2-candles-ohlcv_1m-changelog"
REVISIONS = 50
_MINUTE = 60
_WINDOWS_A_BATCH = 40

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
    async with bench(folder, load.Load(records=1_000)) as ready:
        taken = [await _recover(ready, entries) for _ in range(runs)]
    middle = results.medians(taken)
    return {
        "entries": middle.records,
        "entries_per_second": round(middle.rate),
        "seconds": round(middle.seconds, 2),
        "cpu_seconds_per_million": round(middle.cpu, 2),
        "rss_mb": round(middle.rss_mb),
    }


async def _recover(ready: Bench, entries: int) -> Figures:
    broker, state = ready.servers.canonical, ready.fresh_state()
    settings = ready.settings(broker, state)
    outputs = [NewTopics((topic.name,), topic.partitions) for topic in topics.declared(settings.kafka)]
    await reset(broker.bootstrap, (), [*outputs, NewTopics((CHANGELOG,), ready.loaded.partitions)])
    batches = list(_batches(ready.loaded, entries))
    await load.send(broker.bootstrap, CHANGELOG, batches)
    count = ready.folder / "progress"
    progress.create(count)
    return await measure(
        "recovery",
        [sys.executable, "-m", "benchmarks.stages.recovery"],
        environment(settings) | {"BENCH_PROGRESS": str(count)},
        ready.folder / "logs" / "recovery.log",
        counted(count),
        sum(len(batch.keys) for batch in batches),
        broker.child.pid,
    )


def _batches(loaded: load.Load, entries: int) -> Iterator[load.Batch]:
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
