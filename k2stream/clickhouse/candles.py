"""Candles from ClickHouse's gold views."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa

from k2stream.clickhouse.rows import select
from k2stream.history.tiers import CandleSpan
from k2stream.layers.schema import GOLD
from k2stream.layers.table import GOLD as TABLES
from k2stream.model import clock
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument
from k2stream.settings import ClickHouseSettings

T = TypeVar("T")

LIMITS = {"max_execution_time": 20}

_TIMES = {
    "open_time": "Milli",
    "close_time": "Milli",
    "first_trade_time": "Micro",
    "last_trade_time": "Micro",
}
_COLUMNS = ", ".join(
    f"toUnixTimestamp64{_TIMES[name]}({name})" if name in _TIMES else name for name in Candle._fields
)
_OF = "exchange = %(exchange)s AND canonical_symbol = %(canonical)s"


class HotTier:
    """ClickHouse as a tier that candles are read from."""

    name = "ClickHouse"

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: Any = None
        # The driver logs a traceback per refused connection; the API's answer already reports it in one line.
        logging.getLogger("clickhouse_driver").setLevel(logging.ERROR)

    def oldest(self, instrument: Instrument, timeframe: str) -> int | None:
        """Oldest open time in ms, None without rows; read from the unmerged table, as revisions share it."""
        table = f"{self._settings.database}.{TABLES[timeframe].hot}"
        ((rows, first),) = self._query(
            f"SELECT count(), toUnixTimestamp64Milli(min(open_time)) FROM {table} WHERE {_OF}", instrument
        )
        return int(first) if rows else None

    def begun(self, instrument: Instrument, timeframe: str) -> int | None:
        """Open time in ms of the candle of the oldest trades, by raw offset: from it on, it has all candles.

        What was revised since may be older: a window of a backfill, where the table was made anew.
        """
        table = f"{self._settings.database}.{TABLES[timeframe].hot}"
        first = "toUnixTimestamp64Milli(argMin(open_time, (raw_offset, open_time)))"
        ((rows, begun),) = self._query(f"SELECT count(), {first} FROM {table} WHERE {_OF}", instrument)
        return int(begun) if rows else None

    def latest(self, instrument: Instrument, timeframe: str) -> int | None:
        """Newest open time in ms, None without rows; read in sorting key order, so few rows are scanned.

        A window that is dated ahead says nothing of those before it.
        """
        table = f"{self._settings.database}.{TABLES[timeframe].hot}"
        begun = f"open_time <= fromUnixTimestamp64Milli({clock.now_us() // 1000})"
        rows = self._query(
            f"SELECT toUnixTimestamp64Milli(open_time) FROM {table} WHERE {_OF} AND {begun} "
            "ORDER BY exchange DESC, canonical_symbol DESC, open_time DESC LIMIT 1",
            instrument,
        )
        return int(rows[0][0]) if rows else None

    def candles(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> list[Candle]:
        """Candles of the span from the view, which shows only the highest revision of each."""
        rows = self._query(f"SELECT {_COLUMNS} {self._of(timeframe, span)}", instrument)
        return [Candle(*row) for row in rows]

    def rows(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> pa.Table:
        """As `candles`, with gold's columns."""
        return self._run(
            lambda client: select(client, GOLD, self._of(timeframe, span), _values(instrument), LIMITS)
        )

    def _of(self, timeframe: str, span: CandleSpan) -> str:
        bounds = [_OF]
        if span.start is not None:
            bounds.append(f"open_time >= fromUnixTimestamp64Milli({int(span.start)})")
        if span.end is not None:
            bounds.append(f"open_time < fromUnixTimestamp64Milli({int(span.end)})")
        return f"""FROM {self._settings.database}.{TABLES[timeframe].hot}_view
            WHERE {" AND ".join(bounds)}
            ORDER BY open_time {"DESC" if span.start is None else "ASC"} LIMIT {int(span.limit)}"""

    def _query(self, sql: str, instrument: Instrument) -> Any:
        return self._run(lambda client: client.execute(sql, _values(instrument), settings=LIMITS))

    def _run(self, query: Callable[[Any], T]) -> T:
        from k2stream.clickhouse.destination import connect  # large: imported on first use

        if self._client is None:
            self._client = connect(self._settings)
        try:
            return query(self._client)
        except BaseException:
            self._client.disconnect()  # the rest of this answer must not be read as the next one
            raise


def _values(instrument: Instrument) -> dict[str, str]:
    return {"exchange": instrument.exchange, "canonical": instrument.canonical}
