"""Pages of canonical trades of one instrument from ClickHouse's silver table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from k2stream.clickhouse.candles import LIMITS
from k2stream.clickhouse.rows import select
from k2stream.history.trades import TradePage
from k2stream.layers.schema import SILVER
from k2stream.layers.table import SILVER as TABLE
from k2stream.model import clock
from k2stream.model.instrument import Instrument
from k2stream.settings import ClickHouseSettings

T = TypeVar("T")

_OF = "exchange = %(exchange)s AND canonical_symbol = %(canonical)s"
_BY_TIME = ("timestamp", "sequence", "raw_offset")
_BY_NUMBER = ("if(sequence = 0, raw_offset, sequence)", "raw_offset")


class HeldTrades(NamedTuple):
    """The times (µs) of the oldest and the newest trade, None without one.

    `reached` is the last offset of the canonical topic that is stored, as all before it are; -1 for none. All
    that was received from the time `begun` (µs) on is there; older trades may have been fetched since.
    """

    oldest: int | None
    newest: int | None
    reached: int
    begun: int = 0


class RecentTrades:
    """ClickHouse as a store of pages of trades; for one thread at a time. Raises what the client raises."""

    name = "ClickHouse"

    def __init__(self, settings: ClickHouseSettings, client: Any = None) -> None:
        self._settings, self._client = settings, client

    def page(self, instrument: Instrument, page: TradePage, since: int) -> pa.Table:
        """The trades of a page from time `since` (µs) on, in the direction of the pages."""
        where = [_OF, f"timestamp >= {_time(max(since, page.first))}"]
        if (last := page.last(clock.TIME_LIMIT)) < clock.TIME_LIMIT:
            where.append(f"timestamp < {_time(last)}")
        order = _BY_NUMBER if page.by_number else _BY_TIME
        if page.from_id is not None:
            where.append(f"{order[0]} >= {int(page.from_id)}")
        if page.place is not None:
            at = [str(int(value)) for value in page.place]
            if not page.by_number:
                at[0] = _time(page.place[0])
            where.append(f"({', '.join(order)}) {'<' if page.leads_back else '>'} ({', '.join(at)})")
        direction = "DESC" if page.leads_back else "ASC"
        ordered = ", ".join(f"{name} {direction}" for name in order)
        return self._selected(where, ordered, page.limit, instrument)

    def beyond(self, instrument: Instrument, offset: int, limit: int) -> pa.Table:
        """The first trades beyond a raw offset, which rises for each symbol."""
        return self._selected([_OF, f"raw_offset > {int(offset)}"], "raw_offset", limit, instrument)

    def _selected(self, where: list[str], order: str, limit: int, instrument: Instrument) -> pa.Table:
        rest = f"FROM {self._table} FINAL WHERE {' AND '.join(where)} ORDER BY {order} LIMIT {int(limit)}"
        return self._guarded(lambda client: select(client, SILVER, rest, _values(instrument), LIMITS))

    def held(self, instrument: Instrument, partition: int) -> HeldTrades:
        """What is stored of an instrument, and of its partition of the canonical topic."""
        columns = ("exchange", "canonical_symbol", "timestamp")
        orders = (", ".join(f"{column} {way}" for column in columns) for way in ("ASC", "DESC"))
        time = f"toUnixTimestamp64Micro(timestamp) FROM {self._table} WHERE {_OF}"
        asked = (
            *(f"{time} ORDER BY {order} LIMIT 1" for order in orders),
            # Of the whole table: parts know it, so that no row is read.
            f"toUnixTimestamp64Micro(min(receive_time)) FROM {self._table}",
            "argMax(last_offset, (epoch, last_offset, saved_at)) "
            f"FROM {self._settings.database}.sink_positions "
            "WHERE table = %(table)s AND topic = %(topic)s AND partition = %(partition)s HAVING count() > 0",
        )
        query = f"SELECT {', '.join(f'(SELECT {each})' for each in asked)}"
        values = {**_values(instrument), "table": TABLE.hot, "topic": TABLE.topic, "partition": partition}
        ((oldest, newest, begun, reached),) = self._guarded(
            lambda client: client.execute(query, values, settings=LIMITS)
        )
        return HeldTrades(oldest, newest, -1 if reached is None else reached, begun or 0)

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


def _time(micros: int) -> str:
    return f"fromUnixTimestamp64Micro({int(micros)})"


def _values(instrument: Instrument) -> dict[str, str]:
    return {"exchange": instrument.exchange, "canonical": instrument.canonical}
