"""`k2 trades`: prints the trades of a symbol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import click
import httpx
from rich.console import Console, RenderableType

from k2stream import instruments
from k2stream.clickhouse.asking import asking
from k2stream.clickhouse.recent_trades import RecentTrades
from k2stream.commands import options, served
from k2stream.commands.output import Printer, printed
from k2stream.commands.traded import QueriedTrades, Row, ServedTrades, TradesShown
from k2stream.commands.views.rows import rows_shown
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.model.precision import fraction_digits, padded
from k2stream.platform.running import find
from k2stream.read import arguments
from k2stream.settings import Settings, current

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@click.command()
@click.argument("exchange")
@click.argument("symbol")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--start", type=options.Moment(), help="From this trade time on: the first ones.")
@click.option("--end", type=options.Moment(), help="Before this trade time.")
@click.option("--follow", "-f", is_flag=True, help="Stay, and print what comes.")
@click.option(
    "--url",
    type=options.BaseUrl(),
    help="Base URL of the service; otherwise that of the running platform.",
)
@printed
def trades(
    exchange: str,
    symbol: str,
    limit: int,
    start: int | None,
    end: int | None,
    follow: bool,
    url: str | None,
    *,
    out: Printer,
) -> None:
    """Print the trades of SYMBOL on EXCHANGE, newest last, decimals exact.

    They come from the service, of any age and with the newest, and --follow prints a trade as soon as it is
    durable in Kafka. Where no service answers they come from ClickHouse alone, a second or two later, and
    those of its last 30 days only.
    """
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--start is not before --end")
    if follow and (start is not None or end is not None):
        raise click.UsageError("--follow goes on from the newest trades: leave out --start and --end")
    running = find(current())
    settings = running.settings if running else current()
    instrument = arguments.instrument(instruments.load(settings.feeds.instruments_file), exchange, symbol)
    with _source(settings, url, running.service if running else "", instrument, out) as source:
        if follow:
            with suppress(KeyboardInterrupt):
                digits = 0
                for rows in source.follow(limit):
                    digits = max(digits, fraction_digits(row["price"] for row in rows))
                    for row in rows:
                        out.line(row, _line(row, digits))
            return
        found = source.span(start, end, limit)
    named = {"exchange": instrument.exchange, "symbol": instrument.canonical}
    value = {"simulated": settings.feeds.simulated, **named, "trades": found.rows, "missing": found.missing}
    out.show(value, lambda console: _shown(found.rows, console))
    if not found.rows:
        out.note("no trades")
    if found.missing and not out.as_json:
        out.note("without " + ", ".join(f"{tier['tier']} ({tier['reason']})" for tier in found.missing))


@contextmanager
def _source(
    settings: Settings, url: str | None, known: str, instrument: Instrument, out: Printer
) -> Iterator[TradesShown]:
    """The service of a URL; without one, the `known` service if it answers, else ClickHouse."""
    if base := url or known:
        connection = settings.service.connection
        with httpx.Client(base_url=base, timeout=served.ANSWER_SECONDS, **connection) as client:
            source = ServedTrades(client, instrument)
            try:
                source.span(None, None, 1)
            except ConfigError as error:
                if url:
                    raise
                out.note(f"from ClickHouse alone: {error}")
            else:
                yield source
                return
    with asking(settings.clickhouse) as store:
        yield QueriedTrades(RecentTrades(settings.clickhouse, store), instrument)


def _shown(rows: Sequence[Row], console: Console) -> RenderableType:
    names = ("time, UTC", "side", "price", "quantity", "id")
    digits = fraction_digits(row["price"] for row in rows)
    return rows_shown([dict(zip(names, _texts(row, digits), strict=True)) for row in rows], console)


def _texts(row: Row, digits: int) -> tuple[str, str, str, str, str]:
    when = _EPOCH + timedelta(microseconds=row["timestamp"])
    price = padded(row["price"], digits)
    return f"{when:%m-%d %H:%M:%S.%f}"[:-3], row["side"], price, row["quantity"], row["trade_id"]


def _line(row: Row, digits: int) -> str:
    when, side, price, quantity, number = _texts(row, digits)
    return f"{when}  {side:4}  {price:>16}  {quantity:>18}  {number}"
