"""`make soak MINUTES=20`: the whole platform under random faults, verified on the way and at the end.

python -m tests.fault.soak --minutes 20 [--seed 1] [--rate 200] [--every 10] [--check 10]
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from k2stream.commands.demo import drain
from k2stream.commands.views.verify import report_shown
from k2stream.kafka.lag import LagReader
from k2stream.model.errors import StateRefused
from k2stream.platform.platform import Platform, Simulation
from k2stream.platform.scrape import scrape
from k2stream.reconcile.oracle.run import Report, verify
from k2stream.settings import make
from tests.fault.chaos import CLOCKS, Chaos

console = Console()


@click.command()
@click.option("--minutes", default=20.0, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the faults and their moments.")
@click.option("--rate", default=200, show_default=True, help="Simulated trades per second.")
@click.option("--every", default=10.0, show_default=True, help="Mean seconds between two faults.")
@click.option("--check", default=10.0, show_default=True, help="Minutes between two looks at every layer.")
def main(minutes: float, seed: int, rate: int, every: float, check: float) -> None:
    """Exits 0 only when nothing differs; otherwise the data stays, to be looked at."""
    folder = Path(tempfile.mkdtemp(prefix="k2-soak-"))
    report, chaos = asyncio.run(soak(folder, minutes * 60, seed, rate, every, check * 60))
    done = chaos.done
    console.print(f"injected: {', '.join(f'{count} × {name}' for name, count in sorted(done.items()))}")
    console.print(
        f"{sum(done.values())} faults, {chaos.lost.refusals} refusals, each drawn and mended, "
        f"{report.candles:,} candles, {report.differences} differences"
    )
    if report.differences or not report.candles:
        console.print(f"the data is in {folder}")
        raise SystemExit(1)
    shutil.rmtree(folder, ignore_errors=True)


async def soak(
    folder: Path, seconds: float, seed: int, rate: int, every: float, check: float
) -> tuple[Report, Chaos]:
    """Run, break, drain and verify, until something differs; what was found last, and what was injected."""
    moments = random.Random(f"moments:{seed}")
    settings = make(data_dir=str(folder), cold_commit_seconds=15.0)
    os.environ |= {"PYTHONPATH": str(CLOCKS), "MOVED_CLOCKS": str(folder)}
    async with Platform(settings, Simulation(rate, seed), _say) as platform:
        platform.longest_pause = 0.0  # its faults kill them far more often than anything else does
        chaos = Chaos(platform, seed)
        async with LagReader(platform.settings) as lags:
            begun = reported = checked = time.monotonic()
            while True:
                await _quiet(platform, min(moments.expovariate(1 / every), 4 * every))
                console.print(f"{time.monotonic() - begun:6.0f} s  {await chaos.any()}")
                if time.monotonic() - reported >= 60:
                    reported = time.monotonic()
                    await _report(platform, lags, reported - begun)
                over = time.monotonic() - begun >= seconds
                if over or time.monotonic() - checked >= check:
                    found = await _verified(platform)
                    console.print(report_shown(found))
                    if over or found.differences:
                        return found, chaos
                    await platform.start_feeds()
                    checked = time.monotonic()


async def _verified(platform: Platform) -> Report:
    """Every layer at rest against the oracle."""
    await _settle(platform)
    await platform.stop_feeds()
    await drain(platform)
    return await verify(platform.settings, platform.urls["candles"], console.print)


def _say(text: str) -> None:
    console.print(f"[dim]{text.partition(chr(10))[0]}[/]")


async def _quiet(platform: Platform, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.5))
        await platform.heal()
        if platform.refused:
            raise StateRefused(f"nothing was drawn that is to be refused: {platform.refused}")


async def _settle(platform: Platform) -> None:
    async with asyncio.timeout(180):
        while not await platform.is_ready():
            await _quiet(platform, 0.5)


async def _report(platform: Platform, lags: LagReader, at: float) -> None:
    waiting = sum(sum(found.values()) for found in (await lags.lag()).values())
    samples = await scrape(platform.urls, platform.settings.worker)
    memory = sum(platform.memory().values()) >> 20
    console.print(
        f"{at:6.0f} s  [bold]{samples.get('k2_raw_trades_total'):,.0f} raw trades since the feeds' last "
        f"start, {waiting:,} records waiting, {sum(platform.restarts.values())} restarts, {memory} MB[/]"
    )


if __name__ == "__main__":
    main()
