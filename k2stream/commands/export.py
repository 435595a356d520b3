"""`k2 export`: candles or trades as a file, also in the layouts of backtesters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.export.layout import Subject
from k2stream.export.run import LAYOUTS, Outcome, Progress, decimals_of, target
from k2stream.export.run import export as exported
from k2stream.history.timeframes import UnknownTimeframe
from k2stream.history.timeframes import timeframe as timeframe_named
from k2stream.read import arguments, notes
from k2stream.read.opened import SourceName, open_source, open_trades
from k2stream.read.source import Source
from k2stream.settings import current

FORMATS = tuple(dict.fromkeys(form for layout in LAYOUTS.values() for form in layout.formats))


@click.command()
@click.argument("exchange")
@click.argument("symbol")
@click.argument("timeframe", required=False)
@click.option("--trades", is_flag=True, help="Trades instead of candles.")
@click.option("--start", type=options.Moment(), help="From this time on (ISO 8601, UTC, or ms).")
@click.option("--end", type=options.Moment(), help="Before this time.")
@click.option("--tz", "zone", default="UTC", show_default=True, help="Time zone of the candles' windows.")
@click.option("--layout", "name", type=click.Choice(list(LAYOUTS)), default="k2", show_default=True)
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default, the layout's first.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=".",
    help="A file, or a folder, in which it gets the layout's own name; by default, the current folder.",
)
@click.option("--source", type=click.Choice(get_args(SourceName)), default="auto", show_default=True)
@click.option("--url", type=options.BaseUrl(), help="Base URL of a candles worker; otherwise that found.")
@printed
def export(  # noqa: PLR0913 - one option each
    exchange: str,
    symbol: str,
    timeframe: str | None,
    trades: bool,
    start: int | None,
    end: int | None,
    zone: str,
    name: str,
    form: str | None,
    to: Path,
    source: SourceName,
    url: str | None,
    *,
    out: Printer,
) -> None:
    """Write the candles of TIMEFRAME (1m, 4h, 1d, 1w, …), or the trades, of a symbol into a file.

    \b
    k2         the columns of k2stream.read_candles and read_trades: parquet, csv, feather
    freqtrade  a file of its data folder: feather, json, parquet
    nautilus   the input of nautilus_trader's wranglers: parquet, csv

    Candles that are not final yet are left out at the end. The file appears when it is complete. Decimals are
    exact in layout k2, in csv and in json; else they are the nearest floats, which those readers use.
    """
    if trades == (timeframe is not None):
        raise click.UsageError("give a TIMEFRAME, or --trades")
    layout = LAYOUTS[name]
    form = form or layout.formats[0]
    try:
        of = None if timeframe is None else timeframe_named(timeframe, zone)
    except UnknownTimeframe as error:
        raise click.UsageError(str(error)) from None
    span = arguments.span(start, end)
    opened = (open_trades if trades else open_source)(current(), source, url)
    subject = Subject(arguments.instrument(opened.instruments(), exchange, symbol), of)
    file = target(layout, form, subject, to)
    with _progress() as progress:
        outcome = exported(opened, subject, span, layout, form, file, progress)
    if outcome.missing:
        out.note(f"note: {notes.sentence(outcome.missing)}", "")
    decimals = decimals_of(layout, form)
    about = (outcome, subject, opened, decimals)
    out.line(_value(*about), _text(*about))


@contextmanager
def _progress() -> Iterator[Progress]:
    """Shows the rows so far on a terminal; elsewhere nothing."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda rows, last: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading")

        def progress(rows: int, last: pa.Scalar) -> None:
            bar.update(task, description=f"{rows:,} rows, up to {last.as_py():%Y-%m-%d %H:%M}")

        yield progress


def _text(outcome: Outcome, subject: Subject, source: Source, decimals: str) -> str:
    what = "trades" if subject.timeframe is None else f"candles of {subject.timeframe.name}"
    simulated = "SIMULATED " if source.simulated else ""
    when = f", {outcome.first} to {outcome.last}" if outcome.rows else ""
    left = f"; {outcome.open} not final yet left out" if outcome.open else ""
    within = f"; {outcome.not_final} of them not final" if outcome.not_final else ""
    return f"{outcome.rows:,} {simulated}{what} in {outcome.file}{when}, decimals {decimals}{left}{within}"


def _value(outcome: Outcome, subject: Subject, source: Source, decimals: str) -> dict[str, object]:
    instrument, timeframe = subject
    return {
        "file": str(outcome.file),
        "bytes": outcome.file.stat().st_size,
        "exchange": instrument.exchange,
        "symbol": instrument.canonical,
        "timeframe": timeframe and timeframe.name,
        "tz": timeframe and timeframe.zone.key,
        "decimals": decimals,
        "source": source.where,
        "simulated": source.simulated,
        **{name: value for name, value in asdict(outcome).items() if name != "file"},
        "missing": [tier._asdict() for tier in outcome.missing],
    }
