"""Pages of canonical trades of one instrument from ClickHouse's silver table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from k2stream.clickhouse.candles import LIMITS
from k2stream.clickhouse.rows import select
from k2stream.history.trades import TradePage
from k2stream.layers.schema import SILVER
from k2stream.layers.table import SILVER as TABLE
from k2stream.model.instrument import Instrument
from k2stream.settings import ClickHouseSettings

T = TypeVar("T")

_OF = "exchange = %(exchange)s AND canonical_symbol = %(canonical)s"
_PLACE = "(timestamp, sequence, raw_offset)"


class RecentTrades:
    """ClickHouse as a store of pages of trades; for one thread at a time. Raises what the client raises."""

    name = "ClickHouse"

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._client: Any = None

    def page(self, instrument: Instrument, page: TradePage, since: int) -> pa.Table:
        """The trades of a page from time `since` (µs) on, in the direction of the pages."""
        where = [_OF, f"timestamp >= {_time(max(since, page.first))}"]
        if page.end is not None:
            where.append(f"timestamp < {_time(page.end)}")
        if page.from_id is not None:
            where.append(f"sequence >= {int(page.from_id)}")
        if page.after is not None:
            time, sequence, offset = page.after
            sign = "<" if page.leads_back else ">"
            where.append(f"timestamp {sign}= {_time(time)}")
            where.append(f"{_PLACE} {sign} ({_time(time)}, {int(sequence)}, {int(offset)})")
        direction = "DESC" if page.leads_back else "ASC"
        order = ", ".join(f"{name} {direction}" for name in ("timestamp", "sequence", "raw_offset"))
        rest = (
            f"FROM {self._table} FINAL WHERE {' AND '.join(where)} ORDER BY {order} LIMIT {int(page.limit)}"
        )
        return self._guarded(lambda client: select(client, SILVER, rest, _values(instrument), LIMITS))

    def edges(self, instrument: Instrument) -> tuple[int, int] | None:
        """The times (µs) of the instrument's oldest and newest trade; None without one."""
        columns = ("exchange", "canonical_symbol", "timestamp")
        found = []
        for direction in ("ASC", "DESC"):
            order = ", ".join(f"{column} {direction}" for column in columns)
            time = "toUnixTimestamp64Micro(timestamp)"
            query = f"SELECT {time} FROM {self._table} WHERE {_OF} ORDER BY {order} LIMIT 1"
            found += self._guarded(partial(_executed, query=query, values=_values(instrument)))
        return (int(found[0][0]), int(found[1][0])) if len(found) == 2 else None

    @property
    def _table(self) -> str:
        return f"{self._settings.database}.{TABLE.hot}"

    def _guarded(self, ask: Callable[[Any], T]) -> T:
        from k2stream.clickhouse.destination import connect  # large: imported on first use

        self._client = self._client or connect(self._settings)
        try:
            return ask(self._client)
        except BaseException:
            self._client.disconnect()  # the rest of this answer must not be read as the next one
            raise


def _executed(client: Any, query: str, values: dict[str, str]) -> Any:
    return client.execute(query, values, settings=LIMITS)


def _time(micros: int) -> str:
    return f"fromUnixTimestamp64Micro({int(micros)})"


def _values(instrument: Instrument) -> dict[str, str]:
    return {"exchange": instrument.exchange, "canonical": instrument.canonical}
