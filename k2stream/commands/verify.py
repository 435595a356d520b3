"""`k2 verify`: recomputes everything from the raw topics and compares all layers."""

from __future__ import annotations

import asyncio

import click

from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.verify import report_shown, report_value, verdict
from k2stream.platform.running import find
from k2stream.reconcile.oracle.run import verify as run_verify
from k2stream.reconcile.settle import settle
from k2stream.settings import current


@click.command()
@printed
def verify(*, out: Printer) -> None:
    """Recompute everything from the raw topics with another engine; compare all layers, digit for digit.

    Exits 1 when anything differs. What comes while it looks is compared where a layer has it already.
    """
    settings = current()
    running = find(settings)
    url = running.urls.get("candles") if running else None

    async def settled() -> None:
        if running:
            await settle(running)

    reached = running.settings if running else settings
    with out.working() as say:
        report = asyncio.run(run_verify(reached, url, say, settled if running else None))
    simulated = reached.feeds.simulated
    out.show({"simulated": simulated, **report_value(report)}, report_shown(report))
    if not url:
        out.note("the candle tables were not compared: no candles worker was found")
    if report.off:
        out.note(f"not compared: rows of {', '.join(report.off)}, which K2_EXCHANGES does not have on")
    out.verdict(verdict(report))
    if report.differences:
        raise SystemExit(FAILED)
