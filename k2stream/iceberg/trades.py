"""Canonical trades of one instrument from the Iceberg silver table, a span of time at once."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa

from k2stream.layers.schema import SILVER
from k2stream.layers.table import SILVER as TABLE
from k2stream.model import clock
from k2stream.model.instrument import Instrument
from k2stream.settings import IcebergSettings

_DAY, _EXCHANGE = "timestamp_day", "exchange"


class ColdTrades:
    """Iceberg as a store of trades, as the last commit left it. Does not create a missing catalog."""

    name = "Iceberg"

    def __init__(self, settings: IcebergSettings) -> None:
        from k2stream.iceberg import read  # large: imported on first use

        self._table = read.existing(settings, TABLE.cold)

    def days(self, instrument: Instrument) -> list[date]:
        """The days (UTC) that have trades of the instrument's exchange."""
        if self._table is None or self._table.current_snapshot() is None:
            return []
        partitions = self._table.inspect.partitions()["partition"].to_pylist()
        return sorted({row[_DAY] for row in partitions if row[_EXCHANGE] == instrument.exchange})

    def rows(self, instrument: Instrument, start: int, end: int) -> pa.Table:
        """The trades with start <= timestamp < end (ms), in any order, with silver's columns."""
        if self._table is None:
            return SILVER.empty_table()
        from pyiceberg import expressions

        where: Any = expressions  # the models accept column names, their annotations do not
        found = self._table.scan(
            row_filter=where.And(
                where.EqualTo("exchange", instrument.exchange),
                where.EqualTo("canonical_symbol", instrument.canonical),
                where.GreaterThanOrEqual("timestamp", clock.iso(start)),
                where.LessThan("timestamp", clock.iso(end)),
            ),
            selected_fields=tuple(SILVER.names),
        ).to_arrow()
        return found.select(SILVER.names).cast(SILVER)
