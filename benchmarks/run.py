"""`make bench`: K2 beside its peers on the same topics, alternating, each stage in a process of its own.

python -m benchmarks.run [--quick] [--only normalise,candles:k2] [--runs 3] [--records 2000000]
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import load, results
from benchmarks.machine import machine, versions
from benchmarks.measure import Figures, StageError
from benchmarks.peers import build
from benchmarks.runner import bench
from benchmarks.stages.registry import STAGES, Kind, Stage
from k2stream.local.errors import StackError

console = Console(width=None if sys.stdout.isatty() else 120)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Small data, one run, without the slow peers.")
@click.option("--only", default="", help="Stages to run, e.g. normalise,candles:k2 (default: all).")
@click.option("--runs", default=0, help="Alternating runs of each stage (default: 3, quick 1).")
@click.option("--records", default=0, help="At most so many records a stage.")
@click.option("--keep", is_flag=True, help="Keep the scratch folder with the stages' logs.")
def main(quick: bool, only: str, runs: int, records: int, keep: bool) -> None:
    """Measure, print the tables, write benchmarks/results/. Fails when a K2 stage does, never on speed."""
    chosen = {stage: _records(stage, quick, records) for stage in STAGES if _wanted(stage, only)}
    chosen = {stage: count for stage, count in chosen.items() if count}
    if not chosen:
        raise click.UsageError(f"no stage matches --only {only}; use kinds or kind:system")
    folder = Path(tempfile.mkdtemp(prefix="k2-bench-"))
    try:
        name = "quick" if quick else "partial" if only or records else "latest"
        failed = asyncio.run(_run(folder, chosen, runs or (1 if quick else 3), name))
    finally:
        if keep:
            console.print(f"logs: {folder / 'logs'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _wanted(stage: Stage, only: str) -> bool:
    return not only or bool({str(stage.kind), f"{stage.kind}:{stage.name}"} & set(only.split(",")))


def _records(stage: Stage, quick: bool, limit: int) -> int:
    count = stage.quick if quick else stage.records
    return min(count, limit) if limit else count


async def _run(folder: Path, chosen: dict[Stage, int], runs: int, name: str) -> list[str]:
    failed: list[str] = []
    taken: dict[Kind, dict[str, list[Figures]]] = {}
    loaded = load.Load(records=max(chosen.values()))
    console.print(
        f"loading {loaded.records:,} trades of {loaded.symbols} symbols, {loaded.partitions} partitions"
    )
    async with bench(folder, loaded) as ready:
        for number in range(runs):
            for stage, count in chosen.items():
                label = f"{stage.kind} {stage.name}"
                if label in failed:
                    continue
                try:
                    figures = await ready.run(stage, count)
                except (StageError, StackError, build.Missing) as error:
                    console.print(f"{label}: {error}", style="yellow", markup=False)
                    failed.append(label)
                    continue
                taken.setdefault(stage.kind, {}).setdefault(stage.name, []).append(figures)
                console.print(
                    f"{number + 1}/{runs} {label}: {figures.warm_rate:,.0f}/s warm, {figures.rate:,.0f}/s, "
                    f"{figures.cpu:.2f} CPU s per million, {figures.rss_mb:,.0f} MB"
                )
    _report(taken, name, loaded, runs)
    return [label for label in failed if label.endswith(" k2")]


def _report(taken: dict[Kind, dict[str, list[Figures]]], name: str, loaded: load.Load, runs: int) -> None:
    found: dict[str, Any] = results.summary(taken)
    console.print()
    results.show(taken, found, console)
    about = {
        "machine": machine(),
        "versions": versions() | (build.versions() if "quix" in taken.get(Kind.NORMALISE, {}) else {}),
        "load": {"records": loaded.records, "symbols": loaded.symbols, "partitions": loaded.partitions},
        "runs": runs,
        "raw": results.raw_figures(taken),
    }
    path = results.keep(found | about, name)
    console.print(f"\nwritten: {path.relative_to(build.ROOT)}")


if __name__ == "__main__":
    main()
