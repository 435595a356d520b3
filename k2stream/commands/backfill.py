"""`k2 backfill`: fetches past trades of a symbol from its exchange's REST interface."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from k2stream import instruments, topics
from k2stream.backfill import past
from k2stream.backfill.past import BackfillReport
from k2stream.backfill.span import TradeSpan, unread
from k2stream.commands import options
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.platform.running import reached
from k2stream.read import arguments
from k2stream.settings import Settings, current

_LINE_EVERY = 5.0  # seconds between progress lines without a terminal


@click.command()
@click.option("--exchange", required=True, type=click.Choice(topics.EXCHANGES), help="Of this exchange.")
@click.option("--symbol", required=True, help="BTC/USDT, BTC-USDT, or as the exchange spells it.")
@click.option(
    "--from",
    "start",
    required=True,
    type=options.Moment(),
    help="Trade time, UTC: 2026-11-20T00:00, or ms since 1970.",
)
@click.option("--to", "end", type=options.Moment(), help="The same, not included; otherwise now.")
@printed
def backfill(exchange: str, symbol: str, start: int, end: int | None, *, out: Printer) -> None:
    """Fetch past trades over REST, and revise the candles of their time in every layer.

    The trades go through the raw topic, marked as backfilled; those that are there already change nothing.
    Candles that the tables have forgotten are recomputed. An interrupted run resumes where it was when
    the same command, with --to, is given again. Exits 1 when the exchange returned rows that cannot be
    read: these are dead letters, and their trades are missing.
    """
    settings = reached(current())
    listed = instruments.load(settings.feeds.instruments_file)
    instrument = arguments.instrument(listed, exchange, symbol)
    span = TradeSpan(start * 1000, clock.now_us() if end is None else end * 1000)
    if span.start >= span.end:
        until = "now" if end is None else f"--to {clock.format_utc(end)}"
        raise ConfigError(f"--from {clock.format_utc(start)} is not before {until}: give an earlier one")
    result = asyncio.run(_run(settings, instrument, span))
    named = {"exchange": exchange, "symbol": instrument.canonical, "simulated": settings.feeds.simulated}
    counts = {"fetched": result.fetched, "published": result.published, "candles": result.candles}
    counts["unreadable"] = result.unreadable
    text = (
        f"{result.fetched:,} trades returned by {exchange}, {result.published:,} published; "
        f"{result.candles:,} older candles recomputed"
    )
    out.line(named | counts, "; ".join([text, *unread(result.unreadable)]))
    if result.unreadable:
        raise SystemExit(FAILED)


async def _run(settings: Settings, instrument: Instrument, span: TradeSpan) -> past.Result:
    simulated = " SIMULATED" if settings.feeds.simulated else ""
    with _shown(f"{instrument.exchange} {instrument.symbol}{simulated}") as report:
        return await past.run(settings, instrument, span, report)


@contextmanager
def _shown(title: str) -> Iterator[BackfillReport]:
    """A progress report: a bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=1.0)
        yield BackfillReport(
            bar.console.print,
            lambda done, fetched: bar.update(
                task, completed=done, description=f"{title}: {fetched:,} trades"
            ),
        )


def _lines(title: str) -> BackfillReport:
    due = time.monotonic()

    def progress(done: float, fetched: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _LINE_EVERY
            click.echo(f"{title}: {done:.0%}, {fetched:,} trades", err=True)

    return BackfillReport(lambda text: click.echo(text, err=True), progress)
