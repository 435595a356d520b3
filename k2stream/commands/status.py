"""`k2 status`: shows the status of the running platform, once or continuously."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from k2stream import instruments
from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.platform import render
from k2stream.commands.views.statuses import snapshot_value
from k2stream.model.errors import ConfigError
from k2stream.platform.running import Running, find
from k2stream.platform.snapshot import watch_status
from k2stream.settings import current
from k2stream.web.query import example


@click.command()
@click.option("--watch", "-w", is_flag=True, help="Stay and refresh every second.")
@click.option("--svg", type=options.OutputFile(), help="Also save the view as a picture.")
@printed
def status(watch: bool, svg: Path | None, *, out: Printer) -> None:
    """Show connections, rates, lag, latency and rows of the running platform."""
    running = find(current())
    if running is None:
        folder = current().local.data_path
        raise ConfigError(f"nothing runs on {folder}; start it with `k2 up` or set K2_DATA_DIR")
    with suppress(KeyboardInterrupt):
        asyncio.run(_show(running, watch, svg, out))


async def _show(running: Running, watch: bool, svg: Path | None, out: Printer) -> None:
    console = Console(record=svg is not None)
    listed = instruments.load(running.settings.feeds.instruments_file)
    shown = example(running.service, listed)

    def refused() -> Mapping[str, str]:
        now = find(current())
        return now.refused if now else {}

    if out.as_json:
        async for snapshot in watch_status(running.settings, running.urls, refused=refused):
            out.line({**snapshot_value(snapshot), "example": shown}, "")
            if not watch:
                return
    if watch:
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            async for snapshot in watch_status(running.settings, running.urls, refused=refused):
                live.update(render(snapshot, running.service, shown), refresh=True)
    async for snapshot in watch_status(running.settings, running.urls, refused=refused):
        console.print(render(snapshot, running.service, shown))
        if svg:
            console.save_svg(str(svg), title="k2 status")
        return
