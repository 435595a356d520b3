"""`k2 symbols`: lists the symbols of each exchange."""

from __future__ import annotations

import click

from k2stream import instruments
from k2stream.commands.output import Printer, printed
from k2stream.commands.views.rows import rows_shown
from k2stream.platform.running import reached
from k2stream.settings import current
from k2stream.topics import EXCHANGES


@click.command()
@click.option("--exchange", type=click.Choice(EXCHANGES), help="Only this exchange.")
@printed
def symbols(exchange: str | None, *, out: Printer) -> None:
    """List the symbols of the instruments file: canonical, as the exchange spells it, and its stream."""
    settings = reached(current())
    listed = instruments.load(settings.feeds.instruments_file)
    rows = [
        {"exchange": item.exchange, "symbol": item.canonical, "native": item.symbol, "stream": item.stream}
        for item in listed
        if exchange in (None, item.exchange)
    ]
    value = {"simulated": settings.feeds.simulated, "file": settings.feeds.instruments_file, "symbols": rows}
    out.show(value, lambda console: rows_shown(rows, console))
