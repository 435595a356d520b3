"""Which minutes lack trades that came after their candle was final, from silver and gold."""

from __future__ import annotations

from typing import Any, NamedTuple

from k2stream.clickhouse.candles import LIMITS
from k2stream.layers.table import GOLD, SILVER
from k2stream.model.instrument import Instrument
from k2stream.settings import ClickHouseSettings


class LateMinute(NamedTuple):
    """A minute by its open time (ms since 1970), and how many of its trades no candle has."""

    open_time: int
    trades: int


def minutes(
    settings: ClickHouseSettings, instrument: Instrument, start: int, end: int, limit: int
) -> list[LateMinute]:
    """The last `limit` minutes of [start, end) (ms), ascending. Blocks. Raises what the client raises."""
    from k2stream.clickhouse.destination import connect  # large: imported on first use

    asked: dict[str, Any] = {"exchange": instrument.exchange, "canonical": instrument.canonical}
    asked |= {"start": start, "end": end, "limit": limit}
    client = connect(settings)
    try:
        rows = client.execute(query(settings.database), asked, settings=LIMITS)
        return [LateMinute(int(opened), int(trades)) for opened, trades in reversed(rows)]
    finally:
        client.disconnect()


def query(database: str) -> str:
    """The newest first; a minute without a candle counts once a later one is final."""
    of = "exchange = %(exchange)s AND canonical_symbol = %(canonical)s"
    within = (
        "{0} >= fromUnixTimestamp64Milli(%(start)s, 'UTC') AND {0} < fromUnixTimestamp64Milli(%(end)s, 'UTC')"
    )
    return f"""
    WITH (
        SELECT max(open_time) FROM {database}.{GOLD["1m"].hot} WHERE {of} AND final
    ) AS newest
    SELECT toUnixTimestamp64Milli(minute), counted - ifNull(in_candle, 0) AS late
    FROM (
        SELECT toDateTime64(toStartOfMinute(timestamp), 3, 'UTC') AS minute, sum(trade_count) AS counted
        FROM {database}.{SILVER.hot} FINAL WHERE {of} AND {within.format("timestamp")} GROUP BY minute
    ) AS trades LEFT JOIN (
        SELECT open_time, toNullable(final) AS closed, toNullable(trade_count) AS in_candle
        FROM {database}.{GOLD["1m"].hot}_view WHERE {of} AND {within.format("open_time")}
    ) AS candles ON minute = open_time
    WHERE late > 0 AND if(closed IS NULL, minute < newest, closed)
    ORDER BY minute DESC LIMIT %(limit)s"""
