"""How K2's throughput changes with the number of partitions and of symbols.

python -m benchmarks.growth [--records 1000000]
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from benchmarks import load, results
from benchmarks.runner import bench
from benchmarks.stages.registry import STAGES

PARTITIONS = (1, 2, 4, 8)
SYMBOLS = (33, 1_000, 10_000)

Figures = dict[str, dict[str, dict[str, int]]]

console = Console()


@click.command()
@click.option("--records", default=1_000_000, show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--partial", is_flag=True, help="Write results/partial.json, not latest.json.")
def main(records: int, runs: int, partial: bool) -> None:
    """Measure and add the figures to benchmarks/results/."""
    folder = Path(tempfile.mkdtemp(prefix="k2-growth-"))
    try:
        found = asyncio.run(_run(folder, records, runs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results.keep({"growth": found}, "partial" if partial else "latest")


async def _run(folder: Path, records: int, runs: int) -> Figures:
    loads = {
        "partitions": {count: load.Load(records, partitions=count) for count in PARTITIONS},
        "symbols": {count: load.Load(records, symbols=count) for count in SYMBOLS},
    }
    found: Figures = {}
    async with bench(folder, load.Load(1_000)) as started:
        for what, variants in loads.items():
            table = Table(what, "normalise /s", "candles /s", box=None, pad_edge=False)
            for count, wanted in variants.items():
                ready = started.with_load(wanted)
                rates = {
                    str(stage.kind): round(
                        median([(await ready.run(stage, records))[0].rate for _ in range(runs)])
                    )
                    for stage in STAGES
                    if stage.name == "k2"
                }
                found.setdefault(what, {})[str(count)] = rates
                table.add_row(f"{count:,}", *(f"{rate:,}" for rate in rates.values()))
            console.print(table)
    return found


if __name__ == "__main__":
    main()
