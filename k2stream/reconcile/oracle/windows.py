"""The oracle's candles: computed up to any raw offset of a window, so that unfinished ones compare too."""

from __future__ import annotations

from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.rules import BOUND_US

TIMEFRAMES = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 86_400}
"""In seconds."""

_UNIT = "toInt256('1000000000000000000')"
_ORDER = "(if(sequence > 0, intDiv(ts, 1000) * 1000, ts), sequence, ts, raw_offset)"
"""Within a millisecond, the numeric id decides the order, for exchanges that have one."""


def needed(engine: OracleEngine, grace: int) -> None:
    """Create `needed`: every window that a layer must have, and the last raw offset it must include.

    `closed`: the symbol's event time has passed its end plus the grace (µs), so its candle must be final. The
    clock may close others.
    """
    engine.run(
        """CREATE TABLE needed (exchange String, symbol String, timeframe String, open_time Int64,
            raw_offset Int64, raw_partition Int64, closed Bool)
        ENGINE = Memory"""
    )
    engine.table(
        "reached",
        f"""SELECT exchange, symbol, max(least(ts, receive_time + {BOUND_US})) AS event_time
        FROM timed WHERE required GROUP BY exchange, symbol""",
    )
    for timeframe, seconds in TIMEFRAMES.items():
        engine.run(
            f"""INSERT INTO needed
            SELECT exchange, symbol, '{timeframe}',
                intDiv(ts, {seconds * 1_000_000}) * {seconds * 1000} AS opened, max(raw_offset),
                argMax(raw_partition, raw_offset),
                opened * 1000 + {seconds * 1_000_000 + grace} <= any(event_time)
            FROM timed INNER JOIN reached USING (exchange, symbol)
            WHERE NOT late AND required AND opened * 1000 >= whole_from
            GROUP BY exchange, symbol, opened"""
        )


def mixed(engine: OracleEngine, layers: list[str], kept: str) -> None:
    """Create `mixed`: windows with a trade of a layer whose raw record is not there any more.

    `kept` is SQL for rows whose raw record is. Trades may be dated ahead: their windows begin after the first
    raw record that is left.
    """
    lengths = ", ".join(f"('{name}', {seconds})" for name, seconds in TIMEFRAMES.items())
    rows = " UNION DISTINCT ".join(
        f"SELECT exchange, symbol, timestamp FROM {layer} WHERE NOT ({kept})" for layer in layers
    )
    engine.table(
        "mixed",
        f"""SELECT DISTINCT exchange, symbol, length.1 AS timeframe,
            intDiv(timestamp, length.2 * 1000000) * length.2 * 1000 AS open_time
        FROM ({rows}) ARRAY JOIN [{lengths}] AS length""",
    )


def expected_candles(engine: OracleEngine, layers: list[str]) -> None:
    """Create `expected_candles`: one for each (window, raw offset) in a layer or in `needed`."""
    asked = " UNION DISTINCT ".join(
        f"SELECT exchange, symbol, timeframe, open_time, raw_offset FROM {layer}" for layer in layers
    )
    engine.table("asked", asked)
    columns = ", ".join(f"{sql} AS {name}" for name, sql in _COLUMNS.items())
    for index, (timeframe, seconds) in enumerate(TIMEFRAMES.items()):
        opened = f"intDiv(ts, {seconds * 1_000_000}) * {seconds * 1000}"
        query = f"""
            SELECT exchange, symbol, '{timeframe}' AS timeframe, open_time, raw_offset,
                open_time + {seconds * 1000 - 1} AS close_time, {columns}
            FROM (
                SELECT exchange, symbol, canonical_symbol AS canonical, open_time, raw_offset, raw_partition,
                    {_SO_FAR}
                FROM (SELECT *, {opened} AS open_time FROM timed WHERE NOT late)
                WINDOW so_far AS (PARTITION BY exchange, symbol, open_time ORDER BY raw_offset
                                  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
            WHERE (exchange, symbol, open_time, raw_offset) IN (
                SELECT exchange, symbol, open_time, raw_offset FROM asked WHERE timeframe = '{timeframe}')"""
        if index == 0:
            engine.table("expected_candles", query)
        else:
            engine.run(f"INSERT INTO expected_candles {query}")


_SUMS = {
    "o": f"argMin(price, {_ORDER})",
    "h": "max(price)",
    "l": "min(price)",
    "c": f"argMax(price, {_ORDER})",
    "v": "sum(quantity)",
    "qv": "sum(price * quantity)",
    "tv": "sumIf(quantity, taker = 'BUY')",
    "tqv": "sumIf(price * quantity, taker = 'BUY')",
    "trades": "sum(weight)",
    "first_ts": f"argMin(ts, {_ORDER})",
    "last_ts": f"argMax(ts, {_ORDER})",
    "records": "count()",
    "last_offset": "max(raw_offset)",
}
_SO_FAR = ", ".join(f"{sql} OVER so_far AS {name}" for name, sql in _SUMS.items())
"""Running totals per trade: their cost does not depend on how many revisions a layer has."""


def _half_even(dividend: str, divisor: str) -> str:
    quotient, rest = f"intDiv({dividend}, {divisor})", f"({dividend} % {divisor})"
    return f"{quotient} + if(2 * {rest} > {divisor} OR (2 * {rest} = {divisor} AND {quotient} % 2 = 1), 1, 0)"


_COLUMNS = {
    "canonical_symbol": "canonical",
    "open": "o",
    "high": "h",
    "low": "l",
    "close": "c",
    "volume": "v",
    "quote_volume": _half_even("qv", _UNIT),
    "taker_buy_volume": "tv",
    "taker_buy_quote_volume": _half_even("tqv", _UNIT),
    "vwap": _half_even("qv", "v"),
    "trade_count": "trades",
    "first_trade_time": "first_ts",
    "last_trade_time": "last_ts",
    "records": "records",
    "last_offset": "last_offset",
    "raw_partition": "raw_partition",
}
"""Prices, volumes and averages are Int256 at scale 18."""
