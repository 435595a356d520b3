"""`make burn-in HOURS=1`: the whole platform for hours, and whether anything of it grows.

python -m benchmarks.burn_in [--hours 1] [--rate 200] [--warm-up 10]

Each minute: memory (proportional set size), open files and threads of every process, disk space of every
folder. At the end: the slope of each after the warm-up, and every layer against the oracle. 24 hours are the
same command.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.latency import ENGINES
from benchmarks.machine import machine, versions
from benchmarks.slopes import Trend, trends
from k2stream.commands.demo import drain
from k2stream.commands.views.verify import report_shown
from k2stream.embedded import room
from k2stream.platform.platform import Platform, Simulation
from k2stream.reconcile.oracle.run import verify
from k2stream.settings import make

EVERY = 60.0  # seconds between two samples
MOST_PERCENT = 2.0
"""Memory of a process of K2's own may grow by this in an hour."""

Samples = list[tuple[float, Mapping[str, Mapping[str, float]]]]

console = Console()


@click.command()
@click.option("--hours", default=1.0, show_default=True, help="How long, the warm-up included.")
@click.option("--rate", default=200, show_default=True, help="Simulated trades per second.")
@click.option("--warm-up", default=10.0, show_default=True, help="Minutes that the slopes leave out.")
@click.option("--partial", is_flag=True, help="Write results/partial.json, not latest.json.")
def main(hours: float, rate: int, warm_up: float, partial: bool) -> None:
    """Exits 1 when a layer differs, a process was started again, or memory grew by 2 % per hour."""
    if hours * 60 <= warm_up:
        raise click.UsageError(f"--hours {hours:g} ends within the warm-up of {warm_up:g} minutes")
    with tempfile.TemporaryDirectory(prefix="k2-burn-in-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(_run(Path(folder), hours * 3600, rate))
    slopes = trends(found.pop("samples"), warm_up * 60)
    _show(slopes)
    grown = growing(slopes, own(slopes))
    for name in grown:
        console.print(f"{name}: memory grows by {slopes[name]['pss_mb'].percent_per_hour:.1f} % per hour")
    figures = {name: {key: list(item) for key, item in each.items()} for name, each in slopes.items()}
    about = {"hours": hours, "warm_up_minutes": warm_up, "rate": rate, **found}
    kept = {"burn_in": about | {"slopes": figures}, "machine": machine(), "versions": versions()}
    results.keep(kept, "partial" if partial else "latest")
    raise SystemExit(bool(grown or found["differences"] or found["restarts"]))


async def _run(folder: Path, seconds: float, rate: int) -> dict[str, Any]:
    samples: Samples = []
    async with Platform(make(data_dir=str(folder)), Simulation(rate), console.print) as platform:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            if passed >= len(samples) * EVERY:
                samples.append((passed, await asyncio.to_thread(_sample, platform, folder)))
                console.print(f"{passed / 60:5.0f} min  {_line(samples[-1][1])}")
            await asyncio.sleep(0.5)
            await platform.heal()
        await platform.stop_feeds()
        await drain(platform)
        report = await verify(platform.settings, platform.urls["candles"], console.print)
        console.print(report_shown(report))
        restarts = sum(platform.restarts.values())
    return {
        "samples": samples,
        "candles": report.candles,
        "differences": report.differences,
        "restarts": restarts,
    }


def _sample(platform: Platform, folder: Path) -> dict[str, dict[str, float]]:
    found = {name: process for name, pid in platform.pids().items() if (process := _process(pid))}
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        found[f"{part.name}/"] = {"disk_mb": room.used_bytes(part) / 2**20}
    return found


def _process(pid: int) -> dict[str, float]:
    """Memory, open files and threads; empty when it has ended. Pages of several processes count in parts."""
    try:
        status, shared = (_fields(Path(f"/proc/{pid}/{name}")) for name in ("status", "smaps_rollup"))
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return {}
    if "Pss" not in shared:  # a zombie
        return {}
    return {
        "pss_mb": int(shared["Pss"].split()[0]) / 1024,
        "files": files,
        "threads": int(status["Threads"]),
    }


def _fields(file: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)


def own(names: Iterable[str]) -> list[str]:
    """Those of the names that are processes of K2's own."""
    return [name for name in names if name not in ENGINES and not name.endswith("/")]


def growing(slopes: Mapping[str, Mapping[str, Trend]], names: Iterable[str]) -> list[str]:
    """Those of the processes whose memory grows by more than MOST_PERCENT per hour."""
    return [name for name in names if slopes[name]["pss_mb"].percent_per_hour > MOST_PERCENT]


def _line(sample: Mapping[str, Mapping[str, float]]) -> str:
    memory = {name: values["pss_mb"] for name, values in sample.items() if "pss_mb" in values}
    disk = sum(values["disk_mb"] for values in sample.values() if "disk_mb" in values)
    mine = sum(memory[name] for name in own(memory))
    return f"{mine:,.0f} MB of K2's own, {sum(memory.values()):,.0f} MB in all, {disk:,.0f} MB of disk"


def _show(slopes: Mapping[str, Mapping[str, Trend]]) -> None:
    table = Table("", "figure", "mean", "per hour", "% per hour", box=None, pad_edge=False)
    for name, figures in slopes.items():
        for figure, item in figures.items():
            change = f"{item.per_hour:+,.2f}", f"{item.percent_per_hour:+.1f}"
            table.add_row(name, figure, f"{item.mean:,.1f}", *change)
    console.print(table)


if __name__ == "__main__":
    main()
