"""`k2 verify`: recomputes everything from the raw topics and compares all layers."""

from __future__ import annotations

import asyncio

import click
from rich.console import Console

from k2stream.commands.views.verify import show
from k2stream.platform.running import find
from k2stream.reconcile.oracle.run import verify as run_verify
from k2stream.reconcile.settle import settle
from k2stream.settings import current


@click.command()
def verify() -> None:
    """Recompute everything from the raw topics with another engine; compare all layers, digit for digit.

    Exits 1 when anything differs. Candles that moved on while it looked are counted, not compared.
    """
    settings = current()
    running = find(settings)
    url = running.urls.get("candles") if running else None
    console = Console()

    def say(text: str) -> None:
        console.print(f"[dim]{text}[/]")

    async def settled() -> None:
        if running:
            await settle(running)

    reached = running.settings if running else settings
    report = asyncio.run(run_verify(reached, url, say, settled if running else None))
    show(report, console)
    if report.off:
        console.print(f"not compared: rows of {', '.join(report.off)}, which K2_EXCHANGES does not have on")
    if not url:
        console.print("the candle tables were not compared: no candles worker was found")
    raise SystemExit(1 if report.differences else 0)
