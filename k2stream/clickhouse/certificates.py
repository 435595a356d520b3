"""Reads certificates of candles from ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k2stream.clickhouse.destination import connect
from k2stream.layers.certificates import TABLE
from k2stream.model.certificate import Certificate, decode
from k2stream.model.instrument import Instrument
from k2stream.settings import ClickHouseSettings

_LIMITS = {"max_execution_time": 20}


class StoredCertificates:
    """The stored certificates. Its methods block, and raise whatever the client raises."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._table = f"{settings.database}.{TABLE}"
        self._client = connect(settings)

    def of(self, instrument: Instrument, timeframe: str, open_time: int) -> Certificate | None:
        """The certificate of a candle's highest revision; None without one. `open_time` is in ms."""
        found = self._read(
            f"""SELECT certificate FROM {self._table}
            WHERE exchange = %(exchange)s AND canonical_symbol = %(symbol)s AND timeframe = %(timeframe)s
                AND open_time = fromUnixTimestamp64Milli(%(open_time)s)
            ORDER BY revision DESC LIMIT 1""",
            exchange=instrument.exchange,
            symbol=instrument.canonical,
            timeframe=timeframe,
            open_time=open_time,
        )
        return next(found, None)

    def highest(self, timeframe: str | None = None) -> Iterator[Certificate]:
        """The certificate of each candle's highest revision, of one timeframe or of all."""
        where = "WHERE timeframe = %(timeframe)s" if timeframe else ""
        return self._read(
            f"""SELECT argMax(certificate, revision) FROM {self._table} {where}
            GROUP BY exchange, canonical_symbol, timeframe, open_time""",
            timeframe=timeframe,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.disconnect()

    def _read(self, sql: str, **given: Any) -> Iterator[Certificate]:
        try:
            rows = self._client.execute(sql, given, settings=_LIMITS)
        except BaseException:
            self._client.disconnect()  # the rest of this answer must not be read as the next one
            raise
        return (decode(text.encode()) for (text,) in rows)
