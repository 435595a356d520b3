"""`k2 up`: runs the whole platform on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import click
from rich.console import Console
from rich.live import Live

from k2stream import instruments
from k2stream.commands import options
from k2stream.commands.called import NAME, program
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.platform import render
from k2stream.commands.views.statuses import snapshot_value
from k2stream.embedded import room
from k2stream.kafka.client import FAILED
from k2stream.model.errors import K2Error
from k2stream.platform import running
from k2stream.platform.platform import Platform, Simulation
from k2stream.platform.snapshot import PERIOD_SECONDS, watch_status
from k2stream.settings import current
from k2stream.web.query import example

TRIES = ("top", "candles BTC/USDT 1m --follow", "verify")
"""What is named to try at the start."""


@click.command()
@click.option("--live", is_flag=True, help="Connect to the real exchanges instead of simulated ones.")
@options.simulation
@options.secure
@click.option("--plain", is_flag=True, help="Print a status every 10 seconds instead of the live view.")
@printed
def up(live: bool, rate: int, seed: int, secure: bool, plain: bool, *, out: Printer) -> None:
    """Start broker, registry, ClickHouse, feeds and all workers; show their status; stop on Ctrl-C.

    The feeds are SIMULATED unless --live is given. An exchange whose K2_<EXCHANGE>_WS_URL is set is fed from
    that server either way: any that speaks the exchange's protocol.
    """
    settings = current()
    options.listed(settings.feeds)
    running.refuse_another(settings)
    room.check(settings.local.data_path, room.free_bytes(settings.local.data_path), out.note)
    simulation = None if live else Simulation(rate, seed)
    platform = Platform(settings, simulation, on_step=out.note, secure=secure)
    asyncio.run(_run(platform, out, simulated=not live, plain=plain or out.as_json))


async def _run(platform: Platform, out: Printer, *, simulated: bool, plain: bool) -> None:
    console = Console()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if simulated:
        out.note("SIMULATED exchanges (`k2 up --live` for the real ones)", "yellow")
    starting = asyncio.ensure_future(platform.__aenter__())
    interrupted = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()  # a failed start has stopped what it had started
    try:
        if starting.done():
            await _watch(platform, console, stop, out, plain=plain or not console.is_terminal)
        else:
            starting.cancel()
            await asyncio.wait({starting})
    finally:
        interrupted.cancel()
        out.note("stopping")
        await platform.stop()
        out.note("stopped")


async def _watch(
    platform: Platform, console: Console, stop: asyncio.Event, out: Printer, *, plain: bool
) -> None:
    """Keep everything running until `stop`; the status beside it may be late, or fail."""
    console.print(_hints(platform.service_url, program()), highlight=False, soft_wrap=True)
    showing = asyncio.ensure_future(_show(platform, console, out, plain=plain))
    folder, full = platform.settings.local.data_path, False
    try:
        while not stop.is_set():
            await platform.heal()
            if showing.done():
                showing.result()
            free = room.free_bytes(folder)
            if free < room.LEAST and not full:
                out.note(f"{room.amount(free)} left for {folder}: {room.ADVICE}", "bold red")
            full = free < room.LEAST
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await stop.wait()
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _show(platform: Platform, console: Console, out: Printer, *, plain: bool) -> None:
    shown = example(platform.service_url, instruments.load(platform.settings.feeds.instruments_file))
    ticks = 0
    with Live(console=console, auto_refresh=False, transient=False) if not plain else _Nothing() as live:
        while True:
            try:
                async for snapshot in watch_status(
                    platform.settings, platform.urls, platform.memory, lambda: platform.refused
                ):
                    view = render(snapshot, platform.service_url, shown)
                    if isinstance(live, Live):
                        live.update(view, refresh=True)
                    elif ticks % 10 == 0:
                        service = {"service": platform.service_url, "example": shown}
                        out.show({**snapshot_value(snapshot), **service}, view)
                    ticks += 1
            except (*FAILED, K2Error) as error:  # a broker that is slow is no reason to end
                out.note(f"no status at present: {' '.join(str(error).split()) or type(error).__name__}")
                await asyncio.sleep(PERIOD_SECONDS)


def _hints(service: str, name: str) -> str:
    """Where the page is, and what to try: commands as one types them here; as markup."""
    where = "in another terminal" if name == NAME else "in another terminal, in this folder"
    tries = "\n".join(f"  {name} {rest}" for rest in TRIES)
    return f"[bold]page:[/] {service}/   [bold]API:[/] {service}/docs\n{where}:\n{tries}"


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *details: object) -> None:
        return None
