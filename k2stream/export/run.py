"""Exports candles or trades of one instrument into one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from k2stream.export import freqtrade, nautilus, own
from k2stream.export.files import written
from k2stream.export.layout import TEXT, FileLayout, Subject
from k2stream.history.reader import MissingTier
from k2stream.layers.schema import SILVER
from k2stream.model.errors import ConfigError
from k2stream.read.candles import candle_pages
from k2stream.read.columns import PAGE
from k2stream.read.notes import unread
from k2stream.read.source import RowPage, Source

LAYOUTS = {layout.name: layout for layout in (own.LAYOUT, freqtrade.LAYOUT, nautilus.LAYOUT)}

Progress = Callable[[int, pa.Scalar], None]
"""Called with the rows so far, and the time of the last one."""


@dataclass(slots=True)
class Outcome:
    """What was written. Times are ISO 8601, of the first and the last row.

    `open` is the number of candles at the end that were left out because they are not final, `not_final` that
    of those that were written although they are not, because a final one follows.
    """

    file: Path
    rows: int = 0
    first: str | None = None
    last: str | None = None
    open: int = 0
    not_final: int = 0
    missing: list[MissingTier] = field(default_factory=list)


def target(layout: FileLayout, form: str, subject: Subject, to: Path) -> Path:
    """The file to write: `to`, or in the folder `to` the layout's own name. Raises ConfigError."""
    if form not in layout.formats:
        raise ConfigError(
            f"layout {layout.name} has no format {form}: use one of {', '.join(layout.formats)}"
        )
    name = f"{layout.file_name(subject)}.{form}"
    if to.is_dir():
        return to / name
    if layout.is_named and to.name != name:
        raise ConfigError(f"{layout.name} looks for {name}: name the file so, or give a folder that exists")
    return to


def export(
    source: Source,
    subject: Subject,
    span: tuple[int, int | None],
    layout: FileLayout,
    form: str,
    file: Path,
    progress: Progress = lambda rows, last: None,
) -> Outcome:
    """Write the rows with start <= time < end (ms), page by page; `file` appears when complete."""
    outcome = Outcome(file)
    pages: list[RowPage] = []
    time = "timestamp" if subject.timeframe is None else "open_time"
    convert, empty = _conversion(layout, subject)
    with written(file, form, convert(empty, form).schema) as write:
        for rows in _rows(source, subject, span, outcome, pages):
            if not len(rows):
                continue
            write(convert(rows, form))
            outcome.rows += len(rows)
            outcome.first = outcome.first or _iso(rows[time][0])
            outcome.last = _iso(rows[time][-1])
            progress(outcome.rows, rows[time][-1])
    outcome.missing = unread(pages)
    return outcome


def _conversion(layout: FileLayout, subject: Subject) -> tuple[Callable[[pa.Table, str], pa.Table], pa.Table]:
    if subject.timeframe is None:
        return layout.trades, SILVER.empty_table()
    return layout.candles, PAGE.empty_table()


def _rows(
    source: Source, subject: Subject, span: tuple[int, int | None], outcome: Outcome, pages: list[RowPage]
) -> Iterator[pa.Table]:
    instrument, timeframe = subject
    if timeframe is None:
        for page in source.trades(instrument, *span):
            pages.append(page._replace(rows=None))
            yield page.rows
        return
    held = PAGE.empty_table()
    for page in candle_pages(source, instrument, timeframe, span, health=True):
        pages.append(page._replace(rows=None))
        held = pa.concat_tables([held, page.rows])
        final = pc.indices_nonzero(held["final"].combine_chunks())
        count = final[-1].as_py() + 1 if len(final) else 0
        outcome.not_final += count - len(final)
        yield held.slice(0, count)
        held = held.slice(count)
    outcome.open = len(held)


def _iso(time: pa.Scalar) -> str:
    return str(time.as_py().isoformat())


def decimals_of(layout: FileLayout, form: str) -> str:
    """Whether the decimals of a file are exact, or the nearest floats."""
    return "exact" if form in TEXT else layout.decimals
