"""Recomputes what every layer must contain from the raw records, with a separate SQL engine.

It shares settings and topic names with the pipeline, but no code: tests/unit/reconcile/oracle/test_apart.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from k2stream import topics
from k2stream.reconcile.oracle import bronze, rules, venues, windows
from k2stream.reconcile.oracle.candles import ListedInstrument
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.raw import Extent

NEVER = 1 << 62


def expect(
    engine: OracleEngine, folder: Path, extent: Extent, instruments: Iterable[ListedInstrument], grace: int
) -> None:
    """Create the tables `bronze_<exchange>`, `silver` (including late trades), `timed`, `needed`, `listed`.

    The raw records are in `<folder>/<exchange>.parquet`, the dead letters in `letters`; `grace` is in µs.
    """
    instruments = list(instruments)
    engine.run("CREATE TABLE listed (exchange String, symbol String) ENGINE = Memory")
    for item in instruments:
        engine.run(f"INSERT INTO listed VALUES ('{item.exchange}', '{item.symbol}')")
    engine.run("CREATE TABLE cuts (exchange String, raw_partition Int64) ENGINE = Memory")
    for exchange, number in extent.cuts():
        engine.run(f"INSERT INTO cuts VALUES ('{exchange}', {number})")
    for exchange in topics.EXCHANGES:
        engine.table(f"native_{exchange}", rules.native(exchange, str(folder / f"{exchange}.parquet")))
        bronze.expected(engine, exchange)
    read = " UNION ALL ".join(rules.trades(exchange) for exchange in topics.EXCHANGES)
    engine.table("read_trades", read, "(exchange, symbol, raw_offset)")
    engine.table("overlaps", rules.OVERLAPS, "(exchange, symbol, aggregate)")
    engine.table(
        "whole",
        f"""SELECT exchange, symbol, argMin(receive_time, raw_offset) + {rules.BOUND_US} AS since
        FROM read_trades GROUP BY exchange, symbol""",
    )
    engine.table("trades", _kept(_spelled(instruments)), "(exchange, symbol, raw_offset)")
    engine.table(
        "timed", rules.TIMED.format(grace=grace, bound=rules.BOUND_US), "(exchange, symbol, raw_offset)"
    )
    engine.table("silver", rules.SILVER, "(exchange, raw_partition, raw_offset)")
    windows.needed(engine, grace)


def _kept(spelled: str) -> str:
    """SQL of all trades; `kept` marks valid ones, once each, and doubtful ones without a dead letter.

    `unsure` marks trades dated before the first available raw record: neither they nor their copies can be
    decided.
    """
    raw = ", ".join(f"'{topics.raw(name)}'" for name in topics.EXCHANGES)
    names = ", ".join(f"'{name}'" for name in topics.EXCHANGES)
    return f"""
        SELECT t.*, {spelled} AS canonical_symbol,
            if((exchange, raw_partition) IN (SELECT exchange, raw_partition FROM cuts), whole.since, 0)
                AS whole_from,
            ts < whole_from AS unsure,
            (exchange, raw_partition, raw_offset) IN (
                SELECT transform(topic, [{raw}], [{names}], ''), partition, offset FROM letters) AS lettered,
            good AND NOT duplicate AND NOT (doubtful AND lettered) AS kept
        FROM (
            SELECT i.* REPLACE (
                i.doubtful OR c.overlapping AS doubtful, i.duplicate OR c.covered AS duplicate)
            FROM ({rules.IDENTIFIED}) AS i
            LEFT JOIN ({rules.COVERED}) AS c USING (exchange, symbol, id)) AS t
        LEFT JOIN whole USING (exchange, symbol)"""


def _spelled(instruments: Iterable[ListedInstrument]) -> str:
    listed: Mapping[str, list[ListedInstrument]] = {name: [] for name in topics.EXCHANGES}
    for item in instruments:
        listed[item.exchange].append(item)
    cases = []
    for exchange, items in listed.items():
        own = venues.for_exchange(exchange).spelling
        if items:
            symbols, spelled = [i.symbol for i in items], [i.canonical for i in items]
            own = f"transform(symbol, {symbols}, {spelled}, {own})"
        cases.append(f"exchange = '{exchange}', {own}")
    return f"multiIf({', '.join(cases)}, '')"


def from_offset(starts: Mapping[tuple[str, int], int]) -> str:
    """SQL: a row's raw offset is at or after the start of its exchange's partition, by default 0."""
    given = {f"{exchange}:{number}": start for (exchange, number), start in starts.items() if start}
    if not given:
        return "1"
    where = "concat(exchange, ':', toString(raw_partition))"
    offsets = ", ".join(f"toInt64({start})" for start in given.values())
    return f"raw_offset >= transform({where}, {list(given)}, [{offsets}], toInt64(0))"
