"""Candles by the oracle: of a window's trades up to any raw offset, so that unfinished ones are candles."""

from __future__ import annotations

from k2stream.verify.engine import Engine

TIMEFRAMES = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "1d": 86_400}
"""Seconds."""

_UNIT = "toInt256('1000000000000000000')"
_ORDER = "(if(sequence > 0, intDiv(ts, 1000) * 1000, ts), sequence, ts, raw_offset)"
"""Of what an exchange numbers the id decides within a millisecond."""


def needed(engine: Engine) -> None:
    """Make `needed`: every window that a layer must have, and the last raw offset that must be in it."""
    engine.run(
        """CREATE TABLE needed
            (exchange String, symbol String, timeframe String, open_time Int64, raw_offset Int64)
        ENGINE = Memory"""
    )
    for timeframe, seconds in TIMEFRAMES.items():
        engine.run(
            f"""INSERT INTO needed
            SELECT exchange, symbol, '{timeframe}',
                intDiv(ts, {seconds * 1_000_000}) * {seconds * 1000} AS opened, max(raw_offset)
            FROM timed WHERE NOT late AND required AND opened * 1000 >= whole_from
            GROUP BY exchange, symbol, opened"""
        )


def told(engine: Engine, layers: list[str]) -> None:
    """Make `told`: what each (window, raw offset) that some layer or `needed` has should say."""
    asked = " UNION DISTINCT ".join(
        f"SELECT exchange, symbol, timeframe, open_time, raw_offset FROM {layer}" for layer in layers
    )
    engine.table("asked", asked, "(timeframe, exchange, symbol, open_time)")
    columns = ", ".join(f"{sql} AS {name}" for name, sql in _COLUMNS.items())
    for index, (timeframe, seconds) in enumerate(TIMEFRAMES.items()):
        query = f"""
            SELECT exchange, symbol, '{timeframe}' AS timeframe, opened AS open_time, upto AS raw_offset,
                opened + {seconds * 1000 - 1} AS close_time, {columns}
            FROM (
                SELECT t.exchange AS exchange, t.symbol AS symbol, t.canonical_symbol AS canonical,
                    t.opened AS opened, asked.raw_offset AS upto,
                    {_SUMS}
                FROM (SELECT *, intDiv(ts, {seconds * 1_000_000}) * {seconds * 1000} AS opened
                      FROM timed WHERE NOT late) AS t
                INNER JOIN (SELECT * FROM asked WHERE timeframe = '{timeframe}') AS asked
                    ON asked.exchange = t.exchange AND asked.symbol = t.symbol AND asked.open_time = t.opened
                WHERE t.raw_offset <= asked.raw_offset
                GROUP BY exchange, symbol, canonical, opened, upto)"""
        if index == 0:
            engine.table("told", query, "(exchange, symbol, timeframe, open_time, raw_offset)")
        else:
            engine.run(f"INSERT INTO told {query}")


_SUMS = f"""
    argMin(price, {_ORDER}) AS o, max(price) AS h, min(price) AS l, argMax(price, {_ORDER}) AS c,
    sum(quantity) AS v, sum(price * quantity) AS qv,
    sumIf(quantity, taker = 'BUY') AS tv, sumIf(price * quantity, taker = 'BUY') AS tqv,
    sum(weight) AS trades, argMin(ts, {_ORDER}) AS first_ts, argMax(ts, {_ORDER}) AS last_ts,
    count() AS records, max(t.raw_offset) AS last_offset, any(raw_partition) AS raw_partition"""


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
