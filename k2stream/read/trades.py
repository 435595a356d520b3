"""`k2stream.read_trades` and `scan_trades`: canonical trades as an Arrow table, or by record batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from k2stream.layers.schema import SILVER
from k2stream.model.errors import ConfigError
from k2stream.read import arguments, notes
from k2stream.read.arguments import Time
from k2stream.read.columns import Decimals, with_decimals
from k2stream.read.opened import SourceName, open_trades
from k2stream.read.source import RowPage
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
    options = {"columns": columns, "decimals": decimals, "source": source, "url": url, "settings": settings}
    return scan_trades(exchange, symbol, start, end, **options).read_all()  # type: ignore[arg-type]


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
    for `decimals`, `source`, and what the metadata of the schema says.

    Raises ConfigError for an unknown symbol or column or a wrong argument, Unavailable when a store does not
    answer.
    """
    first, last = arguments.span(start, end)
    chosen = _chosen(columns)
    opened = open_trades(settings or current(), source, url)
    instrument = arguments.instrument(opened.instruments(), exchange, symbol)
    pages = opened.trades(instrument, first, last)
    page = next(pages)
    schema = notes.noted(with_decimals(SILVER.empty_table().select(chosen), decimals), opened, [page]).schema
    return pa.RecordBatchReader.from_batches(schema, _batches([page], pages, schema, decimals))


def _batches(
    first: Iterable[RowPage], more: Iterable[RowPage], schema: pa.Schema, decimals: Decimals
) -> Iterator[pa.RecordBatch]:
    for pages in (first, more):
        for page in pages:
            rows = with_decimals(page.rows.select(schema.names), decimals)
            yield from rows.cast(schema).unify_dictionaries().combine_chunks().to_batches(BATCH_ROWS)


def _chosen(columns: Sequence[str] | None) -> list[str]:
    chosen = list(SILVER.names if columns is None else columns)
    if unknown := [name for name in chosen if name not in SILVER.names]:
        raise ConfigError(f"trades have no column {unknown[0]!r}: they have {', '.join(SILVER.names)}")
    return chosen
