"""Canonical trades of one instrument by number or time, a page at once, from ClickHouse's silver table."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from k2stream.clickhouse.candles import LIMITS
from k2stream.layers.table import SILVER
from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade, TradeQuery
from k2stream.settings import ClickHouseSettings

_ID = "if(sequence = 0, raw_offset, sequence)"
_COLUMNS = f"{_ID} AS id, toUnixTimestamp64Micro(timestamp), price, quantity, side = 'BUY', vendor_data"


class NumberedTrades:
    """ClickHouse as a store of numbered trades. Its method blocks, and raises whatever the client raises."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: Any = None

    def read(self, instrument: Instrument, query: TradeQuery) -> list[NumberedTrade]:
        """The trades of a query, ascending by id, each once."""
        from k2stream.clickhouse.destination import connect  # large: imported on first use

        if self._client is None:
            self._client = connect(self._settings)
        values = {"exchange": instrument.exchange, "canonical": instrument.canonical}
        sql = statement(f"{self._settings.database}.{SILVER.hot}", query)
        try:
            rows = self._client.execute(sql, values, settings=LIMITS)
        except BaseException:
            self._client.disconnect()  # the rest of this answer must not be read as the next one
            raise
        return sorted(trade(*row) for row in rows)


def statement(table: str, query: TradeQuery) -> str:
    """The SQL of a query. Trades that an interrupted insert wrote twice are read once."""
    where = ["exchange = %(exchange)s", "canonical_symbol = %(canonical)s"]
    if query.first is not None:
        where.append(f"id >= {int(query.first)}")
    if query.start is not None:
        where.append(f"timestamp >= fromUnixTimestamp64Milli({int(query.start)})")
    if query.end is not None:
        where.append(f"timestamp < fromUnixTimestamp64Milli({int(query.end)})")
    keys = ("id",) if query.first is not None else ("timestamp", "id")
    order = ", ".join(f"{key} DESC" if query.newest else key for key in keys)
    return (
        f"SELECT {_COLUMNS} FROM {table} WHERE {' AND '.join(where)} ORDER BY {order} "
        f"LIMIT 1 BY raw_partition, raw_offset LIMIT {int(query.limit)}"
    )


def trade(
    number: int, time: int, price: Decimal, quantity: Decimal, buy: int, vendor: Mapping[str, str]
) -> NumberedTrade:
    """A row as a trade; an aggregated one names the first and last trade in it."""
    first, last = (int(vendor.get(name) or number) for name in ("f", "l"))
    return NumberedTrade(number, first, last, time, price, quantity, bool(buy))
