"""Two checkouts of K2 by turns: is a stage slower than it was? Load, servers and checks are this one's.

python -m benchmarks.pairs OLD_CHECKOUT [--stages normalise,candles,hot,cold] [--pairs 5] [--records 2000000]

CPU seconds of the worker process per million trades, from the first record to the last; medians, their
ratio, and the spread of the old code's runs. OLD_CHECKOUT is a folder with the other code, e.g. of
`git worktree add`; its own .venv is used where it has one.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from benchmarks import load, results, sink_runs
from benchmarks.check.verdict import WrongOutput
from benchmarks.machine import machine
from benchmarks.measure import Figures, StageError
from benchmarks.peers.build import ROOT
from benchmarks.runner import Bench, bench
from benchmarks.stages.registry import STAGES, Kind
from k2stream.embedded.errors import StackError

ALLOWED = 1.03  # new by old, CPU seconds
ROLES = {"normalise": "normalize", "candles": "candles", "hot": "hot", "cold": "cold"}
_PROGRAM = ROOT / "benchmarks" / "stages" / "k2.py"

console = Console(width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A tree of K2's code."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its own interpreter, or this one."""
        own = self.folder / ".venv" / "bin" / "python"
        return own if own.exists() else Path(sys.executable)

    @property
    def env(self) -> dict[str, str]:
        """What makes a process import this tree."""
        return {"PYTHONPATH": str(self.folder)}

    def command(self, stage: str) -> list[str | Path]:
        """The worker of a stage; -P: not the code beside the program, but that of PYTHONPATH."""
        return [self.python, "-P", _PROGRAM, ROLES[stage]]

    def verify(self) -> None:
        """Raise UsageError when a process would import other code than this tree's."""
        said = subprocess.run(
            [self.python, "-P", "-c", "import benchmarks.progress, k2stream; print(k2stream.__file__)"],
            env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if said.returncode or Path(said.stdout.strip()).parent.parent != self.folder:
            raise click.UsageError(f"{self.folder} is no checkout of K2: {said.stderr or said.stdout}")


@dataclass(frozen=True, slots=True)
class Result:
    """What the runs of a stage say; CPU seconds per million trades."""

    old: list[Figures]
    new: list[Figures]

    @property
    def ratio(self) -> float:
        """New by old, of medians."""
        return _cpu(self.new) / _cpu(self.old)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most of the old code's own runs."""
        return min(run.cpu for run in self.old), max(run.cpu for run in self.old)

    @property
    def slower(self) -> bool:
        """More than is allowed, and more than any run of the old code took."""
        return self.ratio > ALLOWED and _cpu(self.new) > self.spread[1]


def _cpu(runs: Sequence[Figures]) -> float:
    return median(run.cpu for run in runs)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("old", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option("--stages", default=",".join(ROLES), show_default=True)
@click.option("--pairs", default=5, show_default=True)
@click.option("--records", default=2_000_000, show_default=True)
def main(old: Path, stages: str, pairs: int, records: int) -> None:
    """Compare OLD with this checkout. Fails when a stage is slower, or an output is wrong."""
    sides = {"old": Checkout(old), "new": Checkout(ROOT)}
    for checkout in sides.values():
        checkout.verify()
    if unknown := set(stages.split(",")) - ROLES.keys():
        raise click.UsageError(f"no such stage: {', '.join(sorted(unknown))}; use {', '.join(ROLES)}")
    folder = Path(tempfile.mkdtemp(prefix="k2-pairs-"))
    try:
        found, failed = asyncio.run(_run(folder, sides, stages.split(","), pairs, records))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _show(found)
    _keep(found, records)
    failed += [f"{stage} (slower)" for stage, result in found.items() if result.slower]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


Run = Callable[[str, Checkout], Awaitable[tuple[Figures, str]]]


async def _run(
    folder: Path, sides: dict[str, Checkout], stages: list[str], pairs: int, records: int
) -> tuple[dict[str, Result], list[str]]:
    found: dict[str, Result] = {}
    failed: list[str] = []
    loaded = load.Load(records=records, start_ms=sink_runs.event_time_ms())
    async with bench(folder, loaded) as ready, sink_runs.engine(folder) as database:

        async def run(stage: str, checkout: Checkout) -> tuple[Figures, str]:
            command = checkout.command(stage)
            if stage in ("hot", "cold"):
                return await sink_runs.run_sink(ready, database, ROLES[stage], command, checkout.env)
            return await _run_stage(ready, stage, command, checkout.env)

        for stage in stages:
            try:
                found[stage] = await _pairs(stage, run, sides, pairs)
            except (StageError, StackError, WrongOutput) as error:
                console.print(f"{stage}: {error}", style="red", markup=False)
                failed.append(f"{stage} ({type(error).__name__})")
    return found, failed


async def _run_stage(
    ready: Bench, stage: str, command: list[str | Path], env: dict[str, str]
) -> tuple[Figures, str]:
    ours = next(known for known in STAGES if known.name == "k2" and known.kind is Kind(stage))
    return await ready.run(replace(ours, command=lambda _: command, env=env), ready.loaded.records)


async def _pairs(stage: str, run: Run, sides: dict[str, Checkout], pairs: int) -> Result:
    taken: dict[str, list[Figures]] = {"old": [], "new": []}
    for number in range(pairs):
        for side in ("old", "new") if number % 2 == 0 else ("new", "old"):
            figures, said = await run(stage, sides[side])
            taken[side].append(figures)
            console.print(
                f"{number + 1}/{pairs} {stage} {side}: {figures.cpu:.3f} CPU s and {figures.wall:.2f} s "
                f"per million; {said}"
            )
    return Result(**taken)


def _show(found: dict[str, Result]) -> None:
    table = Table(
        "stage", "old CPU s/M", "new CPU s/M", "ratio", "old's spread", "", box=None, pad_edge=False
    )
    for stage, result in found.items():
        least, most = result.spread
        table.add_row(
            stage, f"{_cpu(result.old):.3f}", f"{_cpu(result.new):.3f}", f"{result.ratio:.3f}",
            f"{least:.3f}-{most:.3f}", "SLOWER" if result.slower else "no slower",
        )  # fmt: skip
    console.print(table)


def _keep(found: dict[str, Result], records: int) -> None:
    """Stages measured in several calls come together in one file."""
    about = {
        "records": records,
        "machine": machine(),
        "stages": {
            stage: {"ratio": round(result.ratio, 3), "slower": result.slower}
            | {side: [asdict(run) for run in getattr(result, side)] for side in ("old", "new")}
            for stage, result in found.items()
        },
    }
    path = results.FOLDER / "pairs.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    about["stages"] = known.get("stages", {}) | about["stages"]
    path.write_text(json.dumps(about, indent=1) + "\n")
    console.print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
