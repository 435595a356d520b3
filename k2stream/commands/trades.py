"""`k2 trades`: prints the trades of a symbol."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console, RenderableType

from k2stream import instruments
from k2stream.clickhouse.asking import asking
from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.rows import rows_shown
from k2stream.layers.table import SILVER
from k2stream.model.decimals import shortened
from k2stream.model.instrument import Instrument
from k2stream.platform.running import reached
from k2stream.read import arguments
from k2stream.settings import current

_FIELDS = ("timestamp", "side", "price", "quantity", "trade_id", "trade_count", "raw_offset", "receive_time")
_REFRESH = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@click.command()
@click.argument("exchange")
@click.argument("symbol")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--start", type=options.Moment(), help="From this trade time on: the first ones.")
@click.option("--end", type=options.Moment(), help="Before this trade time.")
@click.option("--follow", "-f", is_flag=True, help="Stay, and print what comes.")
@printed
def trades(
    exchange: str,
    symbol: str,
    limit: int,
    start: int | None,
    end: int | None,
    follow: bool,
    *,
    out: Printer,
) -> None:
    """Print the trades of SYMBOL on EXCHANGE from ClickHouse, newest last, decimals exact.

    --follow prints a trade as soon as it is in ClickHouse, which is a second or two after it happened.
    """
    if start is not None and end is not None and start >= end:
        raise click.UsageError("--start is not before --end")
    if follow and (start is not None or end is not None):
        raise click.UsageError("--follow goes on from the newest trades: leave out --start and --end")
    settings = reached(current())
    listed = instruments.load(settings.feeds.instruments_file)
    instrument = arguments.instrument(listed, exchange, symbol)
    with asking(settings.clickhouse) as client:
        store = _Store(client, settings.clickhouse.database, instrument)
        rows = store.span(start, end, limit)
        if not follow:
            named = {"exchange": instrument.exchange, "symbol": instrument.canonical}
            value = {"simulated": settings.feeds.simulated, **named, "trades": rows}
            out.show(value, lambda console: _shown(rows, console))
            if not rows:
                out.note("no trades")
            return
        with suppress(KeyboardInterrupt):
            while True:
                for row in rows:
                    out.line(row, _line(row))
                rows = store.after(max((row["raw_offset"] for row in rows), default=store.newest))
                time.sleep(_REFRESH)


class _Store:
    """The trades of an instrument in ClickHouse, as rows with times in µs since 1970."""

    def __init__(self, client: Any, database: str, instrument: Instrument) -> None:
        self._client, self.newest = client, -1
        self._values: dict[str, Any] = {"exchange": instrument.exchange, "symbol": instrument.canonical}
        chosen = ", ".join(_FIELDS)
        self._query = (
            f"SELECT {chosen} FROM {database}.{SILVER.hot} FINAL"
            " WHERE exchange = %(exchange)s AND canonical_symbol = %(symbol)s"
        )

    def span(self, start: int | None, end: int | None, limit: int) -> list[dict[str, Any]]:
        """The first trades of a span with a start (ms), else the last ones, ascending."""
        where = "".join(
            f" AND timestamp {sign} fromUnixTimestamp64Milli({bound})"
            for sign, bound in ((">=", start), ("<", end))
            if bound is not None
        )
        order = "ASC" if start is not None else "DESC"
        found = self._rows(f"{where} ORDER BY timestamp {order}, raw_offset {order} LIMIT {limit}")
        return found if start is not None else found[::-1]

    def after(self, offset: int) -> list[dict[str, Any]]:
        """The trades beyond a raw offset, which rises for each symbol."""
        self.newest = max(self.newest, offset)
        return self._rows(f" AND raw_offset > {self.newest} ORDER BY raw_offset LIMIT 10000")

    def _rows(self, rest: str) -> list[dict[str, Any]]:
        rows = self._client.execute(self._query + rest, self._values)
        return [dict(zip(_FIELDS, map(_plain, row), strict=True)) for row in rows]


def _plain(value: Any) -> Any:
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def _shown(rows: Sequence[dict[str, Any]], console: Console) -> RenderableType:
    names = ("time, UTC", "side", "price", "quantity", "id")
    return rows_shown([dict(zip(names, _texts(row), strict=True)) for row in rows], console)


def _texts(row: dict[str, Any]) -> tuple[str, str, str, str, str]:
    when = _EPOCH + timedelta(microseconds=row["timestamp"])
    numbers = (shortened(f"{row[name]:f}") for name in ("price", "quantity"))
    price, quantity = numbers
    return f"{when:%m-%d %H:%M:%S.%f}"[:-3], row["side"], price, quantity, row["trade_id"]


def _line(row: dict[str, Any]) -> str:
    when, side, price, quantity, number = _texts(row)
    return f"{when}  {side:4}  {price:>16}  {quantity:>18}  {number}"
