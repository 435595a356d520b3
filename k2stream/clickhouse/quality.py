"""How whole the trades of each symbol and day are, from ClickHouse's silver and gold tables."""

from __future__ import annotations

from typing import Any, NamedTuple

from k2stream import exchanges
from k2stream.clickhouse.candles import LIMITS
from k2stream.layers.table import GOLD, SILVER
from k2stream.model.trade import BACKFILLED
from k2stream.normalizer.records import EPOCH
from k2stream.settings import ClickHouseSettings

_SPANS = [(name, *found.covered) for name, found in exchanges.REGISTRY.items() if found.covered]
_COVERING = dict(zip(("covering", "firsts", "lasts"), map(list, zip(*_SPANS, strict=True)), strict=True))
"""Exchanges with aggregated trades, and what they call the first and the last id that such a trade covers."""


class DayCount(NamedTuple):
    """The trades of a symbol on a day (`day` in days since 1970, UTC), as ClickHouse has them.

    `ids` are the ids that its trades stand for, `expected` those from the least to the greatest one, of each
    epoch; both 0 without numbered ids. `in_candles` is the number of trades in the day's candle, None while
    it is not final.
    """

    exchange: str
    symbol: str
    canonical: str
    day: int
    records: int
    trades: int
    backfilled: int
    ids: int
    expected: int
    in_candles: int | None


def days(settings: ClickHouseSettings, start: int, end: int, exchange: str, canonical: str) -> list[DayCount]:
    """The days from `start` to before `end` (days since 1970), ascending; "" for all exchanges or symbols.

    Blocks. Raises what the client raises.
    """
    from k2stream.clickhouse.destination import connect  # large: imported on first use

    of = """(%(exchange)s = '' OR exchange = %(exchange)s)
        AND (%(canonical)s = '' OR canonical_symbol = %(canonical)s)"""
    silver, daily = f"{settings.database}.{SILVER.hot}", f"{settings.database}.{GOLD['1d'].hot}_view"
    query = f"""
    SELECT trades.exchange, name, trades.canonical_symbol, toInt32(day), records, counted, fetched, ids,
        expected, if(candles.final, toNullable(candles.trade_count), NULL)
    FROM (
        SELECT exchange, canonical_symbol, any(one) AS name, day, sum(rows) AS records,
            sum(stands) AS counted, sum(later) AS fetched, sum(covered) AS ids, sum(reach) AS expected
        FROM (
            WITH {_covered("firsts")} AS lowest, {_covered("lasts")} AS highest
            SELECT exchange, canonical_symbol, any(symbol) AS one, toDate(timestamp) AS day,
                arrayFilter(each -> startsWith(each, %(epoch)s), trade_conditions) AS epoch,
                count() AS rows, sum(trade_count) AS stands,
                countIf(has(trade_conditions, %(backfilled)s)) AS later,
                sumIf(highest - lowest + 1, sequence > 0) AS covered,
                if(countIf(sequence > 0) = 0, 0,
                    maxIf(highest, sequence > 0) - minIf(lowest, sequence > 0) + 1) AS reach
            FROM {silver} FINAL
            WHERE {of} AND timestamp >= toDateTime64(%(start)s, 6, 'UTC')
                AND timestamp < toDateTime64(%(end)s, 6, 'UTC')
            GROUP BY exchange, canonical_symbol, day, epoch
        )
        GROUP BY exchange, canonical_symbol, day
    ) AS trades LEFT JOIN (
        SELECT exchange, canonical_symbol, toDate(open_time) AS of_day, final, trade_count
        FROM {daily} WHERE {of}
    ) AS candles
    ON trades.exchange = candles.exchange AND trades.canonical_symbol = candles.canonical_symbol
        AND trades.day = candles.of_day
    ORDER BY trades.exchange, trades.canonical_symbol, day"""
    values: dict[str, Any] = {"exchange": exchange, "canonical": canonical, "backfilled": BACKFILLED}
    values |= {"start": start * 86_400, "end": end * 86_400, "epoch": EPOCH, **_COVERING}
    client = connect(settings)
    try:
        return [DayCount(*map(_plain, row)) for row in client.execute(query, values, settings=LIMITS)]
    finally:
        client.disconnect()


def _covered(which: str) -> str:
    """SQL of the first or last id that a trade stands for: its own, unless it is an aggregated one."""
    given = f"vendor_data[transform(toString(exchange), %(covering)s, %({which})s, '')]"
    return f"if({given} = '', sequence, toInt64OrZero({given}))"


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else int(value)
