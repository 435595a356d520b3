"""Compares a layer's candles with the oracle's, each up to the last raw record that it includes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from k2stream.model.comparison import MOST, Comparison, Difference
from k2stream.reconcile.oracle.candles import NUMBERS
from k2stream.reconcile.oracle.engine import OracleEngine

_COLUMNS = (
    *("canonical_symbol", "close_time", *NUMBERS, "trade_count", "first_trade_time", "last_trade_time"),
    "raw_partition",
)
_WINDOW = ("exchange", "symbol", "timeframe", "open_time")
_KEY = ", ".join(_WINDOW)


def compare_candles(
    engine: OracleEngine,
    name: str,
    table: str,
    retention: int | None = None,
    revisions: bool = False,
    begun: Collection[tuple[str, int]] = (),
) -> Comparison:
    """Compare candle by candle, field by field.

    A candle may include records after those required, but must not lack any. `retention` is that of tables:
    they may lack a candle that has that many newer ones of its symbol and timeframe, and serve no symbol that
    is not listed. `begun`: the timeframes and partitions of which the layer's first records have expired.
    `revisions`: the layer has every revision, and the highest of a window is its candle; any other layer has
    one row per window. Each row is compared.
    """
    result = Comparison(name, reason="windows with trades from before the first raw record that is left")
    last = f"(SELECT * FROM {table} ORDER BY revision DESC, final DESC LIMIT 1 BY {_KEY})"
    known = f"(SELECT * FROM {last} WHERE {_KNOWN})"
    result.compared = engine.number(f"SELECT count() FROM {known}")
    result.skipped = engine.number(f"SELECT count() FROM {last}") - result.compared
    result.newer = engine.number(
        f"""SELECT count() FROM {known} AS f LEFT JOIN needed AS e USING ({_KEY})
        WHERE f.raw_offset > e.raw_offset"""
    )
    result.coming = engine.number(
        f"""SELECT count() FROM (
            SELECT {_KEY}, a.reached AS reached
            FROM (SELECT {_KEY}, max(raw_offset) AS reached FROM asked GROUP BY {_KEY}) AS a
            LEFT JOIN needed AS n USING ({_KEY}) WHERE a.reached > n.raw_offset
        ) AS later LEFT JOIN {last} AS f USING ({_KEY}) WHERE later.reached > f.raw_offset"""
    )
    result.add(_fields(engine, name, f"(SELECT * FROM {table} WHERE {_KNOWN})"))
    result.add(_behind(engine, name, known, _kept(table, retention, begun)))
    result.add((_contradicting if revisions else _doubled)(engine, name, table))
    return result


_KNOWN = """(exchange, raw_partition) NOT IN (SELECT exchange, raw_partition FROM cuts)
    OR (exchange, symbol, open_time) IN (
        SELECT exchange, symbol, open_time FROM asked INNER JOIN whole USING (exchange, symbol)
        WHERE open_time * 1000 >= since)
    AND (exchange, symbol, timeframe, open_time) NOT IN (
        SELECT exchange, symbol, timeframe, open_time FROM mixed)"""
"""SQL: all trades of the window are known. If the first raw records are lost, it must open after them, and
have none of their trades, which may have been dated ahead."""


def _fields(engine: OracleEngine, name: str, candles: str) -> list[Difference]:
    pairs = ", ".join(f"('{column}', toString(e.{column}), toString(f.{column}))" for column in _COLUMNS)
    revision = "('revision', toString(e.records + f.final), toString(f.revision))"
    offset = "('raw_offset', toString(e.last_offset), toString(f.raw_offset))"
    found: list[Difference] = []
    for *key, present, fields in engine.rows(
        f"""SELECT {", ".join(f"f.{column}" for column in _WINDOW)}, e.present,
            arrayFilter(x -> x.2 != x.3, [{pairs}, {revision}, {offset}]) AS fields
        FROM {candles} AS f ANY LEFT JOIN (SELECT *, 1 AS present FROM expected_candles) AS e
            ON {" AND ".join(f"f.{column} = e.{column}" for column in (*_WINDOW, "raw_offset"))}
        WHERE e.present = 0 OR notEmpty(fields) LIMIT {MOST}"""
    ):
        if not int(present):
            found.append(Difference(name, _name(key), "candle", "absent", "present"))
        found += [Difference(name, _name(key), *item) for item in fields] if int(present) else []
    return found


def _kept(table: str, retention: int | None, begun: Collection[tuple[str, int]]) -> str:
    """SQL for candles of `needed` that a layer must still have.

    Of a symbol whose first records have expired, these are the candles that open after the one of its first
    record, and have a trade after that record's last one: they were published later.
    """
    rank = "row_number() OVER (PARTITION BY exchange, symbol, timeframe ORDER BY open_time DESC)"
    listed = "(exchange, symbol) IN (SELECT exchange, symbol FROM listed)"
    kept = f"{rank} <= {retention} AND {listed}" if retention else "1"
    if not begun:
        return kept
    places = ", ".join(f"('{timeframe}', {number})" for timeframe, number in begun)
    first = f"""SELECT exchange, symbol, timeframe, argMin(open_time, raw_offset) AS opened,
            min(raw_offset) AS begins
        FROM {table} GROUP BY exchange, symbol, timeframe"""
    return f"""{kept} AND ((timeframe, raw_partition) NOT IN ({places}) OR ({_KEY}) IN (
        SELECT {_KEY} FROM needed INNER JOIN ({first}) AS first USING (exchange, symbol, timeframe)
        WHERE raw_offset > begins AND open_time > opened))"""


def _behind(engine: OracleEngine, name: str, candles: str, kept: str) -> list[Difference]:
    rows = engine.rows(
        f"""SELECT {", ".join(f"e.{column}" for column in _WINDOW)}, e.raw_offset, f.raw_offset, f.present
        FROM (SELECT *, {kept} AS kept FROM needed) AS e
        ANY LEFT JOIN (SELECT *, 1 AS present FROM {candles}) AS f
            ON {" AND ".join(f"f.{column} = e.{column}" for column in _WINDOW)}
        WHERE ({", ".join(f"e.{column}" for column in _WINDOW)}) NOT IN (SELECT {_KEY} FROM mixed)
            AND ((f.present = 0 AND e.kept)
            OR (f.present = 1 AND (f.raw_offset < e.raw_offset OR (e.closed AND NOT f.final))))
        LIMIT {MOST}"""
    )
    found = []
    for *key, wanted, offset, present in rows:
        if not int(present):
            found.append(Difference(name, _name(key), "candle", "present", "missing"))
        elif int(offset) < int(wanted):
            what = f"raw_offset {offset}, of {wanted},"
            found.append(Difference(name, _name(key), what, "there", "behind"))
        else:
            found.append(Difference(name, _name(key), "final revision", "present", "missing"))
    return found


def _doubled(engine: OracleEngine, name: str, table: str) -> list[Difference]:
    rows = engine.rows(
        f"""SELECT {_KEY}, toUInt32(count()) AS times FROM {table}
        GROUP BY {_KEY} HAVING times > 1 LIMIT {MOST}"""
    )
    return [Difference(name, _name(key), "rows", 1, int(times)) for *key, times in rows]


def _contradicting(engine: OracleEngine, name: str, table: str) -> list[Difference]:
    rows = engine.rows(
        f"""SELECT {_KEY}, revision, toUInt32(count()) FROM {table}
        GROUP BY {_KEY}, revision HAVING count() > 1 LIMIT {MOST}"""
    )
    return [
        Difference(name, _name(key), f"contents of revision {revision}", 1, int(times))
        for *key, revision, times in rows
    ]


def _name(key: Sequence[Any]) -> str:
    exchange, symbol, timeframe, opened = key
    return f"{exchange} {symbol} {timeframe} candle at {opened}"
