"""`make bench`: K2 beside its peers on the same topics, alternating, each stage in a process of its own.

python -m benchmarks.run [--quick] [--only normalise,candles:k2 [--add]] [--runs 3] [--records 2000000]

What a stage writes is compared with the truth of the load before its figures count.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import load, results
from benchmarks.check.verdict import WrongOutput
from benchmarks.machine import machine, versions
from benchmarks.measure import Figures, StageError
from benchmarks.peers import build
from benchmarks.runner import Bench, bench
from benchmarks.stages.registry import STAGES, Kind, Stage
from k2stream.embedded.errors import StackError

_INTERRUPTED = "interrupted"

console = Console(width=None if sys.stdout.isatty() else 120)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Small data, one run, without the slow peers.")
@click.option("--only", default="", help="Stages to run, e.g. normalise,candles:k2 (default: all).")
@click.option("--runs", default=0, help="Alternating runs of each stage (default: 3, quick 1).")
@click.option("--records", default=0, help="At most so many records a stage.")
@click.option("--add", is_flag=True, help="Add the runs to those in results/latest.json.")
@click.option("--keep", is_flag=True, help="Keep the scratch folder with the stages' logs.")
def main(quick: bool, only: str, runs: int, records: int, add: bool, keep: bool) -> None:
    """Measure, print the tables, write benchmarks/results/.

    Ctrl-C ends it; what was measured by then is kept. Fails when a stage's output is wrong or a stage fails,
    never on speed. Peers that cannot run here are left out.
    """
    chosen = {stage: _records(stage, quick, records) for stage in STAGES if _wanted(stage, only)}
    chosen = {stage: count for stage, count in chosen.items() if count}
    if not chosen:
        raise click.UsageError(f"no stage matches --only {only}; use kinds or kind:system")
    if add and (quick or records):
        raise click.UsageError("--add is for runs of full length")
    folder = Path(tempfile.mkdtemp(prefix="k2-bench-"))
    try:
        name = "quick" if quick else "latest" if add or not (only or records) else "partial"
        taken = asyncio.run(_run(folder, chosen, runs or (1 if quick else 3)))
        if _INTERRUPTED in taken.failed and not add:
            name = "partial"
        _report(taken, name, add)
    finally:
        if keep:
            console.print(f"logs: {folder / 'logs'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if taken.failed:
        raise SystemExit(f"failed: {', '.join(taken.failed)}")


def _wanted(stage: Stage, only: str) -> bool:
    return not only or bool({str(stage.kind), f"{stage.kind}:{stage.name}"} & set(only.split(",")))


def _records(stage: Stage, quick: bool, limit: int) -> int:
    count = stage.quick if quick else stage.records
    return min(count, limit) if limit else count


@dataclass
class Taken:
    """What came of the stages: figures, or why there are none."""

    loaded: load.Load
    runs: dict[Kind, dict[str, list[Figures]]] = field(default_factory=dict)
    wrong: dict[Kind, dict[str, str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    out: set[Stage] = field(default_factory=set)  # run no more

    def drop(self, stage: Stage) -> None:
        """A stage that failed once has no figure at all."""
        self.out.add(stage)
        self.runs.get(stage.kind, {}).pop(stage.name, None)


async def _run(folder: Path, chosen: dict[Stage, int], runs: int) -> Taken:
    taken = Taken(load.Load(records=max(chosen.values())))
    console.print(
        f"up to {taken.loaded.records:,} trades of {taken.loaded.symbols} symbols, "
        f"{taken.loaded.partitions} partitions"
    )
    try:
        async with bench(folder, taken.loaded) as ready:
            for number in range(runs):
                for stage, count in chosen.items():
                    if stage not in taken.out:
                        label = f"{number + 1}/{runs} {stage.kind} {stage.name}"
                        await _take(ready, stage, count, taken, label)
    except asyncio.CancelledError:  # Ctrl-C
        taken.failed.append(_INTERRUPTED)
    return taken


async def _take(ready: Bench, stage: Stage, count: int, taken: Taken, label: str) -> None:
    """One run of one stage, noted."""
    try:
        figures, said = await ready.run(stage, count)
    except build.Missing as error:
        console.print(f"{label}: {error}", style="yellow", markup=False)
        return taken.drop(stage)
    except (StageError, StackError, WrongOutput) as error:
        wrong = isinstance(error, WrongOutput)
        console.print(f"{label}: {'WRONG: ' if wrong else ''}{error}", style="red", markup=False)
        if wrong:
            taken.wrong.setdefault(stage.kind, {})[stage.name] = str(error)
        taken.failed.append(f"{stage.kind} {stage.name}{' (WRONG)' if wrong else ''}")
        return taken.drop(stage)
    taken.runs.setdefault(stage.kind, {}).setdefault(stage.name, []).append(figures)
    console.print(
        f"{label}: {figures.warm_rate:,.0f}/s warm, {figures.rate:,.0f}/s, {figures.wall:.2f} s and "
        f"{figures.cpu:.2f} CPU s per million, {figures.rss_mb:,.0f} MB; {said}"
    )


def _report(taken: Taken, name: str, add: bool) -> None:
    runs, wrong = results.with_earlier(taken.runs, taken.wrong, name) if add else (taken.runs, taken.wrong)
    found: dict[str, Any] = results.summary(runs)
    every = [figures for stages in runs.values() for figures in stages.values()]
    console.print()
    results.show(taken.runs, taken.wrong, found, console)
    about = {
        "machine": machine(),
        "versions": versions() | (build.versions() if "quix" in runs.get(Kind.NORMALISE, {}) else {}),
        "load": {"symbols": taken.loaded.symbols, "partitions": taken.loaded.partitions},
        "runs": len(min(every, key=len, default=())),
        "checks": {f"{stage.kind}:{stage.name}": stage.check.held_to for stage in STAGES},
        "wrong": {str(kind): dict(stages) for kind, stages in wrong.items()},
        "raw": results.raw_figures(runs),
    }
    path = results.keep(found | about, name)
    console.print(f"\nwritten: {path.relative_to(build.ROOT)}")


if __name__ == "__main__":
    main()
