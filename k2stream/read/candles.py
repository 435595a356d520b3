"""`k2stream.read_candles`: candles of any age and timeframe as an Arrow table."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import Timeframe
from k2stream.history.timeframes import timeframe as timeframe_named
from k2stream.model.instrument import Instrument
from k2stream.read import arguments, notes
from k2stream.read.arguments import Time
from k2stream.read.columns import Decimals, candle_columns, with_decimals
from k2stream.read.opened import SourceName, open_source
from k2stream.read.source import RowPage, Source
from k2stream.settings import Settings, current


def read_candles(  # noqa: PLR0913 - one call has them all
    exchange: str,
    symbol: str,
    timeframe: str,
    start: Time = None,
    end: Time = None,
    *,
    tz: str = "UTC",
    quality: bool = False,
    decimals: Decimals = "exact",
    source: SourceName = "auto",
    url: str | None = None,
    settings: Settings | None = None,
) -> pa.Table:
    """The candles with start <= open_time < end, ascending, each in its highest revision, as an Arrow table.

    `symbol` is canonical or native, with any separator (BTC/USDT, BTC-USDT, BTCUSDT). `timeframe` is any
    number of minutes, hours, days, weeks or months (1m, 4h, 1d, 1w, 1M), its windows in the time zone `tz`.
    Times are ISO 8601, datetimes or ms since 1970; without `end`, the last candle may still be open.

    Decimals are decimal128(38, 18). decimals="string" gives their digits as text; decimals="float" rounds
    each to the nearest float64, which keeps about 16 digits. open_time and close_time are timestamp[ms, UTC],
    trade times timestamp[us, UTC].

    `quality` adds final, revision, feed_healthy (whether the feed was up and lost nothing during the window;
    null where unknown) and empty_before (windows without a candle right before this one).

    `source` is "rest" (the running platform, or the candles worker at `url`), "lake" (ClickHouse and
    Iceberg), "iceberg" (Iceberg alone), or "auto": the running platform if there is one, else the lake. The
    key k2.missing of the table's schema metadata names tiers that could not be read; a warning says so.

    Raises ConfigError for an unknown symbol or a wrong argument, UnknownTimeframe, and Unavailable when the
    source does not answer.
    """
    first, last = arguments.span(start, end)
    of = timeframe_named(timeframe, tz)
    opened = open_source(settings or current(), source, url)
    instrument = arguments.instrument(opened.instruments(), exchange, symbol)
    pages = list(candle_pages(opened, instrument, of, (first, last), health=quality))
    rows = candle_columns(pa.concat_tables(page.rows for page in pages), of, quality)
    return notes.noted(with_decimals(rows, decimals), opened, pages)


def candle_pages(
    source: Source,
    instrument: Instrument,
    timeframe: Timeframe,
    span: tuple[int, int | None],
    *,
    health: bool,
) -> Iterator[RowPage]:
    """The candles with start <= open_time < end (ms) in pages, at least one; the last one may be empty."""
    start, end = span
    limit = source.page_size(timeframe)
    while True:
        page = source.candles(instrument, timeframe, CandleSpan(limit, start, end), health)
        yield page
        if len(page.rows) < limit:
            return
        start = page.rows["close_time"][-1].value + 1
        if end is not None and start >= end:
            return
