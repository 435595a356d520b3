"""Canonical trades of one instrument from ClickHouse's silver table, a span of time at once."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import pyarrow as pa

from k2stream.clickhouse.candles import LIMITS
from k2stream.clickhouse.destination import connect
from k2stream.clickhouse.rows import select
from k2stream.layers.schema import SILVER
from k2stream.layers.table import SILVER as TABLE
from k2stream.model.instrument import Instrument
from k2stream.settings import ClickHouseSettings

_OF = "exchange = %(exchange)s AND canonical_symbol = %(canonical)s"


class Checksum(NamedTuple):
    """Two sets of trades of one instrument with the same checksum are the same set."""

    rows: int
    total: int
    xor: int


class HotTrades:
    """ClickHouse as a store of trades. Its methods raise whatever the client raises."""

    name = "ClickHouse"

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._client: Any = connect(settings)
        self._from = f"FROM {settings.database}.{TABLE.hot} FINAL WHERE {_OF}"

    def days(self, instrument: Instrument) -> list[date]:
        """The days (UTC) that have trades of the instrument."""
        query = f"SELECT DISTINCT toDate(timestamp) AS day {self._from} ORDER BY day"
        return [day for (day,) in self._execute(query, instrument)]

    def checksum(self, instrument: Instrument, start: int, end: int) -> Checksum:
        """Of the raw offsets of the trades with start <= timestamp < end (ms)."""
        chosen = "count(), sum(raw_offset), groupBitXor(raw_offset)"
        ((rows, total, xor),) = self._execute(f"SELECT {chosen} {self._within(start, end)}", instrument)
        return Checksum(rows, total, xor)

    def rows(self, instrument: Instrument, start: int, end: int) -> pa.Table:
        """The trades with start <= timestamp < end (ms), in any order, with silver's columns."""
        return select(self._client, SILVER, self._within(start, end), _values(instrument), LIMITS)

    def _within(self, start: int, end: int) -> str:
        first, last = (f"fromUnixTimestamp64Milli({int(time)})" for time in (start, end))
        return f"{self._from} AND timestamp >= {first} AND timestamp < {last}"

    def _execute(self, query: str, instrument: Instrument) -> Any:
        return self._client.execute(query, _values(instrument), settings=LIMITS)


def _values(instrument: Instrument) -> dict[str, str]:
    return {"exchange": instrument.exchange, "canonical": instrument.canonical}
