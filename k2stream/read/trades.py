"""`k2stream.read_trades` and `scan_trades`: canonical trades as an Arrow table, or by record batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import pyarrow as pa

from k2stream.layers.schema import SILVER
from k2stream.model.errors import ConfigError
from k2stream.read import arguments, notes
from k2stream.read.arguments import Time
from k2stream.read.columns import Decimals, with_decimals
from k2stream.read.opened import SourceName, open_trades
from k2stream.read.source import RowPage, Source
from k2stream.settings import Settings, current

BATCH_ROWS = 65_536
"""The most trades of a record batch."""


def read_trades(
    exchange: str,
    symbol: str,
    start: Time = None,
    end: Time = None,
    *,
    columns: Sequence[str] | None = None,
    decimals: Decimals = "exact",
    source: SourceName = "auto",
    url: str | None = None,
    settings: Settings | None = None,
) -> pa.Table:
    """The trades with start <= timestamp < end, each once, as an Arrow table; see `scan_trades`."""
    schema = _schema(columns, decimals)
    opened, pages = _opened((exchange, symbol), arguments.span(start, end), source, url, settings)
    read: list[RowPage] = []
    batches = list(_batches(notes.kept(pages, read), schema, decimals))
    return notes.noted(pa.Table.from_batches(batches, schema), opened, read)


def scan_trades(
    exchange: str,
    symbol: str,
    start: Time = None,
    end: Time = None,
    *,
    columns: Sequence[str] | None = None,
    decimals: Decimals = "exact",
    source: SourceName = "auto",
    url: str | None = None,
    settings: Settings | None = None,
) -> pa.RecordBatchReader:
    """The trades with start <= timestamp < end, each once, as a reader of record batches.

    In memory are the trades of one day (UTC) at a time. They come in the order in which candles take them: by
    time, and by the exchange's ids within a millisecond. `columns` are some of a canonical trade's fields, by
    default all. Prices and quantities are decimal128(38, 18), times timestamp[us, UTC]; see `read_candles`
    for `decimals`, `source`, and what the metadata of the schema says: of what could not be read later, a
    warning says so.

    Raises ConfigError for an unknown symbol or column or a wrong argument, Unavailable when a store does not
    answer.
    """
    schema = _schema(columns, decimals)
    opened, pages = _opened((exchange, symbol), arguments.span(start, end), source, url, settings)
    page = next(pages)
    schema = notes.noted(schema.empty_table(), opened, [page]).schema
    following = chain([page], notes.told(pages, page.missing))
    return pa.RecordBatchReader.from_batches(schema, _batches(following, schema, decimals))


def _opened(
    of: tuple[str, str],
    span: tuple[int, int | None],
    source: SourceName,
    url: str | None,
    settings: Settings | None,
) -> tuple[Source, Iterator[RowPage]]:
    opened = open_trades(settings or current(), source, url)
    return opened, opened.trades(arguments.instrument(opened.instruments(), *of), *span)


def _batches(pages: Iterable[RowPage], schema: pa.Schema, decimals: Decimals) -> Iterator[pa.RecordBatch]:
    for page in pages:
        rows = with_decimals(page.rows.select(schema.names), decimals)
        yield from rows.cast(schema).unify_dictionaries().combine_chunks().to_batches(BATCH_ROWS)


def _schema(columns: Sequence[str] | None, decimals: Decimals) -> pa.Schema:
    chosen = list(SILVER.names if columns is None else columns)
    if unknown := [name for name in chosen if name not in SILVER.names]:
        raise ConfigError(f"trades have no column {unknown[0]!r}: they have {', '.join(SILVER.names)}")
    return with_decimals(SILVER.empty_table().select(chosen), decimals).schema
