"""Candles from the Iceberg gold tables, read one monthly partition at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from k2stream.history.tiers import CandleSpan, newest
from k2stream.layers import gold
from k2stream.layers.schema import GOLD
from k2stream.layers.table import GOLD as TABLES
from k2stream.model import clock
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.settings import IcebergSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS, _US = timedelta(milliseconds=1), timedelta(microseconds=1)
_PARTITION = "open_time_month"


class ColdTier:
    """Iceberg as a tier that candles are read from."""

    name = "Iceberg"

    def __init__(self, settings: IcebergSettings) -> None:
        self._settings = settings
        self._catalog: Any = None

    def oldest(self, instrument: Instrument, timeframe: str) -> int | None:
        """Oldest open time in ms; searches months from the first on, None when none has the instrument."""
        return self._edge(timeframe, instrument, min)

    def begun(self, instrument: Instrument, timeframe: str) -> int | None:
        """As `oldest`: no tier is colder."""
        return self.oldest(instrument, timeframe)

    def latest(self, instrument: Instrument, timeframe: str) -> int | None:
        """Newest open time in ms; searches months from the last back, None when none has the instrument.

        A window that is dated ahead says nothing of those before it.
        """
        return self._edge(timeframe, instrument, max, clock.now_us() // 1000 + 1)

    def _edge(
        self,
        timeframe: str,
        instrument: Instrument,
        pick: Callable[[Iterator[int]], int],
        until: int = clock.TIME_LIMIT // 1000,
    ) -> int | None:
        table = self._table(timeframe)
        months = _months(table)
        for month in months if pick is min else reversed(months):
            first, last = _bounds(month)
            if first >= until:
                continue
            rows = _scan(table, instrument, first, min(last, until), ("open_time",))
            if rows.num_rows:
                return pick(_to(value, _MS) for value in rows["open_time"].to_pylist())
        return None

    def candles(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> list[Candle]:
        """Candles of the span; reads months from the span's fixed end until there are enough."""
        found: dict[int, Candle] = {}
        for rows in self._pieces(instrument, timeframe, span):
            found = newest(_rows(rows), found)
            if len(found) >= span.limit:
                break
        return span.cut(found)

    def rows(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> pa.Table:
        """As `candles`, with gold's columns, in any order, and with all candles of the months it reads."""
        pieces, count = [], 0
        for piece in self._pieces(instrument, timeframe, span):
            pieces.append(gold.newest(piece.cast(GOLD)))
            count += len(pieces[-1])
            if count >= span.limit:
                break
        return pa.concat_tables(pieces) if pieces else GOLD.empty_table()

    def _pieces(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> Iterator[pa.Table]:
        table = self._table(timeframe)
        months = _months(table)
        for month in months if span.start is not None else reversed(months):
            first, last = _bounds(month)
            start, end = max(first, span.start or first), min(last, span.end or last)
            if start < end:
                yield _scan(table, instrument, start, end, tuple(Candle._fields))

    def _table(self, timeframe: str) -> Any:
        """The table; None while the cold tier has not created it. Does not create a missing catalog."""
        from pyiceberg.exceptions import NoSuchTableError  # large: imported on first use

        from k2stream.iceberg.catalog import CurrentCatalog

        settings = self._settings
        embedded = settings.data_path / "iceberg" / "catalog.db"
        if not settings.catalog_uri and not embedded.exists():
            return None
        self._catalog = self._catalog or CurrentCatalog(settings)
        try:
            return self._catalog.get().load_table(TABLES[timeframe].cold)
        except NoSuchTableError:
            return None


def _months(table: Any) -> list[int]:
    """Months since 1970 that have rows, ascending."""
    if table is None or table.current_snapshot() is None:
        return []
    return sorted({row[_PARTITION] for row in table.inspect.partitions()["partition"].to_pylist()})


def _bounds(month: int) -> tuple[int, int]:
    """A month since 1970 as [start, end) in ms."""
    starts = (datetime(1970 + number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in (month, month + 1))
    first, last = (_to(start, _MS) for start in starts)
    return first, last


def _scan(table: Any, instrument: Instrument, start: int, end: int, columns: tuple[str, ...]) -> Any:
    import pyiceberg.expressions as expressions

    where: Any = expressions  # the models accept column names, their annotations do not
    return table.scan(
        row_filter=where.And(
            where.EqualTo("exchange", instrument.exchange),
            where.EqualTo("canonical_symbol", instrument.canonical),
            where.GreaterThanOrEqual("open_time", clock.iso(start)),
            where.LessThan("open_time", clock.iso(end)),
        ),
        selected_fields=columns,
    ).to_arrow()


def _rows(rows: Any) -> Iterator[Candle]:
    for values in zip(*(rows[name].to_pylist() for name in Candle._fields), strict=True):
        candle = Candle(*values)
        yield candle._replace(
            open_time=_to(candle.open_time, _MS),
            close_time=_to(candle.close_time, _MS),
            first_trade_time=_to(candle.first_trade_time, _US),
            last_trade_time=_to(candle.last_trade_time, _US),
        )


def _to(moment: Any, unit: timedelta) -> int:
    return int((moment - _EPOCH) // unit)
