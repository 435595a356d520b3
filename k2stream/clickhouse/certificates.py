"""Certificates of candles from ClickHouse, and what the exchanges' own klines said of the same candles.

The client is that of `clickhouse.agreement.reading`; the functions raise what it raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k2stream.clickhouse.agreement import LIMITS
from k2stream.layers.certificates import TABLE
from k2stream.layers.kline_checks import TABLE as KLINE_CHECKS
from k2stream.model.certificate import Certificate, decode
from k2stream.model.instrument import Instrument
from k2stream.model.kline_checks import Agreement, KlineCheck

_CANDLE = """exchange = %(exchange)s AND canonical_symbol = %(canonical)s AND timeframe = %(timeframe)s
    AND open_time = fromUnixTimestamp64Milli(%(open_time)s)"""


def stored(
    client: Any, database: str, instrument: Instrument, timeframe: str, open_time: int
) -> Certificate | None:
    """The certificate of a candle's highest revision; None without one. `open_time` is in ms."""
    sql = f"SELECT certificate FROM {database}.{TABLE} WHERE {_CANDLE} ORDER BY revision DESC LIMIT 1"
    rows = client.execute(sql, _given(instrument, timeframe, open_time), settings=LIMITS)
    return decode(rows[0][0].encode()) if rows else None


def kline_check(
    client: Any, database: str, instrument: Instrument, timeframe: str, open_time: int
) -> KlineCheck | None:
    """The last comparison of a candle with the exchange's own kline; None when it was not compared yet."""
    rows = client.execute(
        f"""SELECT exchange, symbol, canonical_symbol, timeframe, toUnixTimestamp64Milli(open_time), revision,
            toUnixTimestamp64Micro(checked_time), status, reason, fields, ours, theirs
        FROM {database}.{KLINE_CHECKS} WHERE {_CANDLE} ORDER BY revision DESC, checked_time DESC LIMIT 1""",
        _given(instrument, timeframe, open_time),
        settings=LIMITS,
    )
    if not rows:
        return None
    exchange, symbol, canonical, name, opened, revision, checked, status, reason, *lists = rows[0]
    fields, ours, theirs = map(tuple, lists)
    return KlineCheck(
        exchange=exchange,
        symbol=symbol,
        canonical_symbol=canonical,
        timeframe=name,
        open_time=opened,
        revision=revision,
        checked_time=checked,
        status=Agreement(status),
        reason=reason,
        fields=fields,
        ours=ours,
        theirs=theirs,
    )


def highest(client: Any, database: str) -> Iterator[Certificate]:
    """The certificate of each candle's highest revision."""
    sql = f"""SELECT argMax(certificate, revision) FROM {database}.{TABLE}
        GROUP BY exchange, canonical_symbol, timeframe, open_time"""
    return (decode(text.encode()) for (text,) in client.execute(sql, settings=LIMITS))


def _given(instrument: Instrument, timeframe: str, open_time: int) -> dict[str, Any]:
    return {
        "exchange": instrument.exchange,
        "canonical": instrument.canonical,
        "timeframe": timeframe,
        "open_time": open_time,
    }
