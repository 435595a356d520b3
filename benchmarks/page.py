"""The page in the system's Chromium: first paint, and long tasks of its main thread while all symbols update.

python -m benchmarks.page [--trades 200] [--seconds 60]

Bars: first paint below 1 s, 300 KB in all, and no task of the main thread above 50 ms of its own CPU time
once the page has loaded. Chromium itself calls a task long by the time that passes, in which others run.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
from playwright.async_api import Browser, async_playwright
from rich.console import Console

from benchmarks import results
from benchmarks.machine import machine, versions
from k2stream.platform.platform import Platform, Simulation
from k2stream.settings import make

VIEWS = ("chart", "symbols", "pipeline", "exchanges")
WARM_UP = 30.0  # seconds, in which the workers start and the first candles come

TRACED = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"]
LOADED = 3.0  # seconds after which a page has loaded
LONG_MS = 50

_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_BYTES = "performance.getEntries().reduce((sum, each) => sum + (each.transferSize || 0), 0)"

console = Console()


@click.command()
@click.option("--trades", default=200, show_default=True, help="Trades per second, over all exchanges.")
@click.option("--seconds", default=60.0, show_default=True, help="How long each view is watched.")
def main(trades: int, seconds: float) -> None:
    """Measure each view, print the figures and keep them in benchmarks/results/partial.json."""
    with tempfile.TemporaryDirectory(prefix="k2-page-", ignore_cleanup_errors=True) as folder:
        found = asyncio.run(_measure(Path(folder), trades, seconds))
    console.print_json(data=found)
    results.keep({"page": found, "machine": machine(), "versions": versions()}, "partial")


async def _measure(folder: Path, trades: int, seconds: float) -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    async with (
        Platform(make(data_dir=str(folder)), Simulation(trades), console.print) as platform,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        await asyncio.sleep(WARM_UP)
        return {view: await _watch(browser, f"{platform.service_url}/#{view}", seconds) for view in VIEWS}


async def _watch(browser: Browser, url: str, seconds: float) -> dict[str, Any]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    await browser.start_tracing(page=page, categories=TRACED)
    await page.goto(url)
    await asyncio.sleep(LOADED)
    loading = long_tasks(await browser.stop_tracing())
    await browser.start_tracing(page=page, categories=TRACED)
    await asyncio.sleep(seconds)
    later = long_tasks(await browser.stop_tracing())
    found = {
        "first_paint_ms": round(await page.evaluate(_PAINT)),
        "bytes": await page.evaluate(_BYTES),
        "long_tasks_while_loading_cpu_ms": loading,
        "long_tasks_later_cpu_ms": later,
    }
    await context.close()
    return found


def long_tasks(trace: bytes) -> list[int]:
    """CPU time (ms) of each main-thread task that took more than LONG_MS of it, from Chromium's trace."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    taken = [
        event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in mains and "tdur" in event
    ]
    if not taken:
        raise click.ClickException("Chromium traced no task of a page's main thread")
    return [round(ms) for ms in taken if ms > LONG_MS]


if __name__ == "__main__":
    main()
