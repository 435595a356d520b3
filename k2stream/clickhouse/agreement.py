"""Comparisons with the exchanges' klines, from ClickHouse: how many agree, which differ and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clickhouse_driver import errors

from k2stream import exchanges
from k2stream.agreement.explain import Evidence, explain
from k2stream.clickhouse.asking import none_at
from k2stream.clickhouse.destination import UNREACHABLE, connect
from k2stream.exchanges.spec import Continuity
from k2stream.layers.kline_checks import TABLE
from k2stream.layers.table import GOLD, SILVER
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import ConfigError
from k2stream.settings import ClickHouseSettings

LIMITS = {"max_execution_time": 20}
NEAR_MS = 3_600_000
"""How far outside of a window the nearest trade ids are looked for."""


class Scope(NamedTuple):
    """Which candles: of an exchange and timeframe ("" for all), that open in [start, end), in ms."""

    start: int
    end: int
    exchange: str = ""
    timeframe: str = ""


class AgreementCount(NamedTuple):
    """How many candles of an exchange and timeframe were compared, each by its newest revision."""

    exchange: str
    timeframe: str
    checked: int
    equal: int
    different: int
    not_comparable: int
    reasons: dict[str, int]
    """How many candles are not comparable for which reason."""


@dataclass(frozen=True, slots=True)
class KlineDifference:
    """A candle that differs: `fields` with our values and the exchange's; times in ms, checked_time in µs."""

    exchange: str
    symbol: str
    canonical_symbol: str
    timeframe: str
    open_time: int
    revision: int
    checked_time: int
    fields: list[str]
    ours: list[str]
    theirs: list[str]
    explanation: list[str] = field(default_factory=list)


_WHERE = """open_time >= fromUnixTimestamp64Milli(%(start)s)
    AND open_time < fromUnixTimestamp64Milli(%(end)s)
    AND (%(exchange)s = '' OR exchange = %(exchange)s)
    AND (%(timeframe)s = '' OR timeframe = %(timeframe)s)"""

_NEWEST = f"""
SELECT exchange, timeframe, canonical_symbol, open_time, any(symbol) AS symbol, max(revision) AS newest,
       argMax((status, reason, fields, ours, theirs, checked_time), (revision, checked_time)) AS last
FROM {{database}}.{TABLE} WHERE {_WHERE}
GROUP BY exchange, timeframe, canonical_symbol, open_time"""


@contextmanager
def reading(settings: ClickHouseSettings) -> Iterator[Any]:
    """A client for the functions below. Raises ConfigError where the server or the table is not there."""
    client = connect(settings)
    try:
        yield client
    except UNREACHABLE as error:
        raise none_at(settings, error) from None
    except errors.ServerException as error:
        if error.code in (errors.ErrorCodes.UNKNOWN_TABLE, errors.ErrorCodes.UNKNOWN_DATABASE):
            raise ConfigError(f"ClickHouse has no table {TABLE} yet: `k2 migrate` creates it") from None
        raise
    finally:
        client.disconnect()


def summary(client: Any, database: str, scope: Scope) -> list[AgreementCount]:
    """How many candles of the scope agree, by exchange and timeframe."""
    rows = client.execute(
        f"""SELECT exchange, timeframe, count() AS checked, countIf(last.1 = 'equal'),
            countIf(last.1 = 'different'), countIf(last.1 = 'not_comparable'),
            sumMapIf(map(last.2, 1), last.1 = 'not_comparable')
        FROM ({_NEWEST.format(database=database)}) GROUP BY exchange, timeframe""",
        scope._asdict(),
        settings=LIMITS,
    )
    order = list(TIMEFRAMES)
    return sorted(
        (AgreementCount(*row) for row in rows), key=lambda row: (row.exchange, order.index(row.timeframe))
    )


def differences(client: Any, database: str, scope: Scope, limit: int) -> Iterator[KlineDifference]:
    """The candles of the scope that differ, newest first, each with what explains it."""
    rows = client.execute(
        f"""SELECT exchange, symbol, canonical_symbol, timeframe, toUnixTimestamp64Milli(open_time), newest,
            toUnixTimestamp64Micro(last.6), last.3, last.4, last.5
        FROM ({_NEWEST.format(database=database)}) WHERE last.1 = 'different'
        ORDER BY open_time DESC, exchange, canonical_symbol, timeframe LIMIT {int(limit)}""",
        scope._asdict(),
        settings=LIMITS,
    )
    for row in rows:
        found = KlineDifference(*row)
        found.explanation.extend(explain(found.revision, found.fields, _evidence(client, database, found)))
        yield found


def _evidence(client: Any, database: str, of: KlineDifference) -> Evidence:
    values = {
        "exchange": of.exchange,
        "symbol": of.canonical_symbol,
        "start": of.open_time,
        "end": of.open_time + TIMEFRAMES[of.timeframe],
        "near": NEAR_MS,
    }
    candle = client.execute(
        f"""SELECT revision, trade_count FROM {database}.{GOLD[of.timeframe].hot}_view
        WHERE exchange = %(exchange)s AND canonical_symbol = %(symbol)s
            AND open_time = fromUnixTimestamp64Milli(%(start)s)""",
        values,
        settings=LIMITS,
    )
    ((trades, volume, high, low, fetched, ids, before, after),) = client.execute(
        f"""SELECT sumIf(trade_count, inside), sumIf(quantity, inside), maxIf(price, inside),
            minIf(price, inside), countIf(inside AND has(trade_conditions, 'backfilled')),
            uniqExactIf(number, inside), maxOrNullIf(number, at < %(start)s),
            minOrNullIf(number, at >= %(end)s)
        FROM (
            SELECT trade_count, quantity, price, trade_conditions, toInt64OrNull(trade_id) AS number,
                toUnixTimestamp64Micro(timestamp) / 1000 AS at, at >= %(start)s AND at < %(end)s AS inside
            FROM {database}.{SILVER.hot} FINAL
            WHERE exchange = %(exchange)s AND canonical_symbol = %(symbol)s
                AND timestamp >= fromUnixTimestamp64Milli(%(start)s - %(near)s)
                AND timestamp < fromUnixTimestamp64Milli(%(end)s + %(near)s)
        )""",
        values,
        settings=LIMITS,
    )
    revision, count = candle[0] if candle else (None, 0)
    known = exchanges.REGISTRY.get(of.exchange)
    told = known is not None and known.continuity is Continuity.CONTIGUOUS
    around = (ids, before, after) if told else (0, None, None)
    return Evidence(revision, count, trades, volume, high, low, fetched, *around)
