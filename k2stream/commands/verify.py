"""`k2 verify`: is everything right?"""

from __future__ import annotations

import asyncio

import click
import httpx
from rich.console import Console

from k2stream import settings as settings_module
from k2stream.local.running import Running, find
from k2stream.status.lag import LagReader
from k2stream.verify.run import verify as run_verify
from k2stream.verify.show import show

_WITHIN_SECONDS = 60.0


@click.command()
def verify() -> None:
    """Recompute everything from the raw topics with another engine; compare all layers, digit for digit.

    Exits 1 when anything differs. Candles that moved on while it looked are counted, not compared.
    """
    settings = settings_module.get()
    running = find(settings)
    url = running.urls.get("candles") if running else None
    console = Console()

    def say(text: str) -> None:
        console.print(f"[dim]{text}[/]")

    async def settle() -> None:
        if running:
            await _settle(running)

    reached = running.settings if running else settings
    report = asyncio.run(run_verify(reached, url, say, settle if running else None))
    show(report, console)
    if not url:
        console.print("the candle tables were not compared: no candles worker was found")
    raise SystemExit(1 if report.differences else 0)


async def _settle(running: Running) -> None:
    """Wait until the workers have taken in what is in the topics now."""
    async with LagReader(running.settings) as lags:
        for group in ("k2-normalize", "k2-candles", "k2-hot"):
            await lags.passed(group, _WITHIN_SECONDS)
    async with httpx.AsyncClient(timeout=_WITHIN_SECONDS) as client:
        (await client.post(f"{running.urls['cold']}/cold/flush")).raise_for_status()
