"""Trades and candles recomputed by ClickHouse SQL in a session of its own; shares no code with the pipeline.

All decimals are Int256 at scale 18 (quote sums at 36), so every comparison is between whole numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from chdb.session import Session

from k2stream.candle import TIMEFRAMES

# Each exchange's raw JSON to: symbol, ts (µs), id, records' weight, literal price and quantity, taker side.
_NATIVE = {
    "binance": """
        JSONExtractString(value, 's') AS symbol,
        JSONExtractInt(value, 'T') * if(JSONExtractInt(value, 'T') < 100000000000000, 1000, 1) AS ts,
        JSONExtractString(value, 'e') = 'aggTrade' AS aggregated,
        JSONExtractInt(value, if(aggregated, 'a', 't')) AS id,
        if(aggregated, JSONExtractInt(value, 'l') - JSONExtractInt(value, 'f') + 1, 1) AS weight,
        '' AS kind,
        if(aggregated, (JSONExtractInt(value, 'f'), JSONExtractInt(value, 'l')), (id, id)) AS ids,
        JSONExtractString(value, 'p') AS price_text,
        JSONExtractString(value, 'q') AS quantity_text,
        NOT JSONExtractBool(value, 'm') AS taker_buy""",
    "kraken": """
        JSONExtractString(value, 'pair') AS symbol,
        splitByChar('.', JSONExtractString(value, 'time')) AS clock,
        toInt64(clock[1]) * 1000000 + toInt64OrZero(substring(rightPad(clock[2], 6, '0'), 1, 6)) AS ts,
        0 AS aggregated,
        0 AS id,
        1 AS weight,
        (toInt64(0), toInt64(0)) AS ids,
        JSONExtractString(value, 'orderType') AS kind,
        JSONExtractString(value, 'price') AS price_text,
        JSONExtractString(value, 'volume') AS quantity_text,
        JSONExtractString(value, 'side') = 'b' AS taker_buy""",
    "coinbase": """
        JSONExtractString(value, 'product_id') AS symbol,
        parseDateTime64BestEffort(JSONExtractString(value, 'time'), 9, 'UTC') AS clock,
        intDiv(toInt64(toUnixTimestamp64Nano(clock)), 1000) AS ts,
        toInt64(trim(BOTH '"' FROM JSONExtractRaw(value, 'trade_id'))) AS id,
        0 AS aggregated,
        1 AS weight,
        (id, id) AS ids,
        '' AS kind,
        trim(BOTH '"' FROM JSONExtractRaw(value, 'price')) AS price_text,
        trim(BOTH '"' FROM JSONExtractRaw(value, 'size')) AS quantity_text,
        JSONExtractString(value, 'side') = 'SELL' AS taker_buy""",
}
_HAS_IDS = {"binance": 1, "kraken": 0, "coinbase": 1}

_RAW = "partition Int32, offset Int64, key String, value String"
_TOO_LARGE = "toDecimal256('100000000000000000000', 0)"  # 10^20
_EARLIEST = "1230768000000000"  # 2009
_LIMIT = "toInt256('1' || repeat('0', 49))"  # 10^13 at scale 36, of price times quantity
_MOST = "toInt256('1' || repeat('0', 31))"  # 10^13 at scale 18, of a quantity
_AHEAD_US = 1_000_000  # so far beyond its receipt a trade may move its symbol's watermark


_NUMBERS = itertools.count()


class OracleCandle(NamedTuple):
    """A candle as whole numbers: prices, volumes, quote volumes and vwap at scale 18."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    taker_buy_volume: int
    taker_buy_quote_volume: int
    vwap: int
    trade_count: int
    first_trade_time: int
    last_trade_time: int
    records: int
    raw_offset: int


class LayerSum(NamedTuple):
    """What a layer holds of one exchange: rows, and the sums of price and quantity at scale 18."""

    rows: int
    price: int
    quantity: int


CandleKey = tuple[str, str, str, int]
"""(exchange, native symbol, timeframe, open time in ms)"""


class Oracle:
    """Results recomputed from raw Parquet files `<folder>/<exchange>.parquet`; `grace` in µs."""

    def __init__(self, folder: Path, grace: int) -> None:
        self._session = Session()
        self._grace = grace
        # Sessions of one process share the engine, so each oracle has a database of its own.
        self._database = f"oracle_{next(_NUMBERS)}"
        self._query(f"CREATE DATABASE {self._database}")
        self._load(folder)

    def close(self) -> None:
        """Forget everything and end the engine session."""
        self._query(f"DROP DATABASE {self._database}")
        self._session.close()

    def _query(self, sql: str) -> list[list[object]]:
        output = self._session.query(sql, "JSONCompactEachRow").bytes()
        return [msgspec.json.decode(line) for line in output.splitlines() if line]

    def _load(self, folder: Path) -> None:
        parts = " UNION ALL ".join(
            f"""SELECT '{name}' AS exchange, {_HAS_IDS[name]} AS has_id, partition AS raw_partition,
                offset AS raw_offset, symbol, ts, received, id, ids, kind, aggregated, weight, price_text,
                quantity_text, taker_buy, backfilled, connection
            FROM (SELECT partition, offset, JSONExtractBool(value, 'k2_backfilled') AS backfilled,
                         JSONExtractString(value, 'k2_conn') AS connection,
                         JSONExtractInt(value, 'k2_recv') AS received, {native}
                  FROM file('{folder / f"{name}.parquet"}', Parquet, '{_RAW}'))"""
            for name, native in _NATIVE.items()
        )
        numbers = ", ".join(
            f"""toDecimal256OrNull({name}_text, 36) AS {name}_36,
                toInt256(ifNull({name}_36, 0) * toDecimal256('{10**18}', 0)) AS {name},
                ifNull({name}_36 < {_TOO_LARGE} AND {name}_36 * toDecimal256('{10**18}', 0)
                       = toDecimal256({name}, 36), 0) AS {name}_valid"""
            for name in ("price", "quantity")
        )
        content = "exchange, symbol, aggregated, ids, price, quantity, taker_buy, kind, good"
        self._query(
            f"""CREATE TABLE {self._database}.told
            ENGINE = MergeTree ORDER BY (exchange, symbol, raw_offset) AS
            SELECT *,
                row_number() OVER (PARTITION BY {content}, intDiv(ts, 1000) ORDER BY raw_offset) AS nth,
                row_number() OVER (PARTITION BY {content}, ts, connection ORDER BY raw_offset)
                    AS of_connection
            FROM (SELECT *, {numbers}, price_valid AND quantity_valid AND price > 0 AND quantity > 0
                            AND price * quantity < {_LIMIT} AND quantity < {_MOST}
                            AND ts >= {_EARLIEST} AS good
                  FROM ({parts}))"""
        )
        # Without ids what a connection tells the n-th time is new when there were not n yet.
        self._query(
            f"""CREATE TABLE {self._database}.trades
            ENGINE = MergeTree ORDER BY (exchange, symbol, raw_offset) AS
            SELECT exchange, symbol, has_id, raw_partition, raw_offset, ts, received, id, weight, taker_buy,
                   price, quantity, backfilled, good,
                   good AND if(has_id, nth > 1, (exchange, symbol, raw_offset) IN (
                       SELECT exchange, symbol, arrayJoin(arrayFold(
                           (known, row) -> if(row.3 OR row.2 > known.1, (known.1 + 1, known.2),
                                              (known.1, arrayPushBack(known.2, row.1))),
                           arraySort(groupArray((raw_offset, of_connection, backfilled))),
                           (toUInt64(0), emptyArrayInt64())).2)
                       FROM {self._database}.told WHERE NOT has_id AND good
                       GROUP BY {content}, ts)) AS duplicate
            FROM {self._database}.told"""
        )
        self._query(
            f"""CREATE VIEW {self._database}.counted AS
            SELECT *, (intDiv(ts, 60000000) + 1) * 60000000 AS minute_end,
                   max(least(ts, received + {_AHEAD_US})) OVER (
                       PARTITION BY exchange, symbol ORDER BY raw_offset
                       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest,
                   newest - {self._grace} >= minute_end AND NOT backfilled AS late
            FROM {self._database}.trades WHERE good AND NOT duplicate"""
        )

    def layer(self, condition: str = "1") -> dict[str, LayerSum]:
        """Rows and sums per exchange of the raw trades that meet a condition (`good`, `duplicate`, …)."""
        rows = self._query(
            f"""SELECT exchange, toString(count()), toString(sum(price)), toString(sum(quantity))
            FROM {self._database}.trades WHERE {condition} GROUP BY exchange"""
        )
        return {str(row[0]): LayerSum(*(int(str(x)) for x in row[1:])) for row in rows}

    def late(self) -> dict[str, int]:
        """Late trades per exchange."""
        rows = self._query(
            f"SELECT exchange, count() FROM {self._database}.counted WHERE late GROUP BY exchange"
        )
        return {str(row[0]): int(str(row[1])) for row in rows}

    def candles(self) -> Mapping[CandleKey, OracleCandle]:
        """Every candle of every timeframe."""
        found: dict[CandleKey, OracleCandle] = {}
        for timeframe, length in TIMEFRAMES.items():
            for row in self._query(self._candle_sql(length)):
                exchange, symbol, *numbers = row
                opened, *values = (int(str(x)) for x in numbers)
                found[str(exchange), str(symbol), timeframe, opened] = OracleCandle(*values)
        return found

    def _candle_sql(self, length_ms: int) -> str:
        order = "(if(has_id, intDiv(ts, 1000) * 1000, ts), id, ts, raw_offset)"
        return f"""
            WITH sums AS (
                SELECT exchange, symbol, intDiv(ts, {length_ms * 1000}) * {length_ms} AS opened,
                    argMin(price, {order}) AS o, max(price) AS h,
                    min(price) AS l, argMax(price, {order}) AS c,
                    sum(quantity) AS v, sum(price * quantity) AS qv,
                    sumIf(quantity, taker_buy) AS tv, sumIf(price * quantity, taker_buy) AS tqv,
                    sum(weight) AS trades, argMin(ts, {order}) AS first_ts,
                    argMax(ts, {order}) AS last_ts, count() AS records,
                    max(raw_offset) AS last_offset
                FROM {self._database}.counted WHERE NOT late GROUP BY exchange, symbol, opened)
            SELECT exchange, symbol, {", ".join(f"toString({x})" for x in _columns())} FROM sums"""


def _columns() -> list[str]:
    unit = "toInt256('1000000000000000000')"
    return [
        *("opened", "o", "h", "l", "c", "v", _half_even("qv", unit), "tv", _half_even("tqv", unit)),
        *(_half_even("qv", "v"), "trades", "first_ts", "last_ts", "records", "last_offset"),
    ]


def _half_even(dividend: str, divisor: str) -> str:
    quotient, rest = f"intDiv({dividend}, {divisor})", f"({dividend} % {divisor})"
    return f"{quotient} + if(2 * {rest} > {divisor} OR (2 * {rest} = {divisor} AND {quotient} % 2 = 1), 1, 0)"
