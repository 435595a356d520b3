"""Compares ClickHouse's live layers with the rebuilt ones, inside ClickHouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from k2stream.layers.routes import ROUTES
from k2stream.layers.table import TABLES, LayerTable
from k2stream.model.comparison import Comparison
from k2stream.replay.clickhouse import HotRebuild
from k2stream.replay.compare import ALL, LISTED, bounded
from k2stream.replay.places import Source

OFFSETS = 1_000_000
"""Offsets of a source compared per query: their hashes are in the server's memory."""

LIFE = {"bronze": ("receive_time", timedelta(days=7)), "silver": ("timestamp", timedelta(days=30))}
"""The TTLs of schemas/clickhouse."""

_EXPIRING = timedelta(hours=1)  # rows about to expire may be in one database only
_CANDLE = ("exchange", "canonical_symbol", "open_time")


def trades(hot: HotRebuild, layer: LayerTable, sources: Mapping[Source, int]) -> Comparison:
    """Compare a trade table by raw position."""
    table = layer.hot
    comparison = Comparison(f"ClickHouse {table}")
    column, life = LIFE[layer.layer]
    since = datetime.now(UTC) - life + _EXPIRING
    alive = f"{column} >= fromUnixTimestamp64Micro({int(since.timestamp() * 1e6)})"
    for (name, partition), bound in sources.items():
        if layer.takes(name):
            own = f"raw_partition = {partition} AND {alive}" + (
                "" if layer.exchange else f" AND exchange = '{name}'"
            )
            for first, end in _ranges(hot, table, own, bound):
                where = f"{own} AND raw_offset >= {first} AND raw_offset < {end}"
                _compare_trades(hot, comparison, table, where, f"{name}[{partition}]")
    known = [partition if layer.exchange else (name, partition) for name, partition in sources]
    _unknown_partitions(
        hot, comparison, table, "raw_partition" if layer.exchange else "(exchange, raw_partition)", known
    )
    return comparison


def _ranges(hot: HotRebuild, table: str, where: str, bound: int) -> Iterator[tuple[int, int]]:
    sides = (f"(SELECT max(raw_offset) FROM {name}.{table} WHERE {where})" for name in (hot.live, hot.fresh))
    ((highest,),) = hot.client.execute(f"SELECT greatest({', '.join(sides)})")
    end = min(bound, highest + 1)
    for first in range(0, end, OFFSETS):
        yield first, min(first + OFFSETS, end)


def _compare_trades(hot: HotRebuild, comparison: Comparison, table: str, where: str, source: str) -> None:
    names = [name for name in ROUTES[table].schema.names if name != "process_time"]
    columns = ", ".join(f"`{name}`" for name in names)
    ((rows, differing, offsets),) = hot.client.execute(
        f"""SELECT countIf(rebuilt AND live), countIf(NOT same),
               arraySort(groupArrayIf({LISTED})(at, NOT same))
        FROM (
            SELECT at, countIf(fresh) = 1 AS rebuilt, countIf(NOT fresh) = 1 AS live,
                   rebuilt AND live AND min(content) = max(content) AS same
            FROM ({_both(hot, table, where, "raw_offset AS at", columns)}) GROUP BY at
        )"""
    )
    comparison.compared += rows
    found = _rows(hot, table, f"{where} AND raw_offset IN {offsets}", columns) if offsets else {}
    for offset in offsets:
        one, other = ([row for row in found[side] if row["raw_offset"] == offset] for side in (True, False))
        _add(comparison, f"{source} offset {offset}", one, other)
    comparison.rows("different", (), differing - len(offsets))


def _unknown_partitions(
    hot: HotRebuild, comparison: Comparison, table: str, column: str, known: list[Any]
) -> None:
    query = f"SELECT count() FROM {hot.live}.{table} FINAL WHERE {column} NOT IN %(known)s"
    ((count,),) = hot.client.execute(query, {"known": known})
    comparison.rows("surplus", ["those of partitions that do not exist"] if count else (), count)


def candles(hot: HotRebuild, layer: LayerTable, bounds: Mapping[Source, int], *, behind: bool) -> Comparison:
    """Compare a gold table by candle; with `behind`, missing or older candles are still to come."""
    table = layer.hot
    comparison = Comparison(f"ClickHouse {table}")
    names = [name for name in ROUTES[table].schema.names if name not in (*_CANDLE, "revision", "final")]
    columns = ", ".join(names)
    candle = ", ".join(_CANDLE)
    key = f"{candle}, raw_offset AS at, final AS closed, raw_offset >= {_bound(bounds)} AS beyond"
    content = f"{columns}, revision - toInt64(final)"
    query = f"""
        SELECT {candle}, countIf(fresh) AS rebuilt, countIf(NOT fresh) AS live,
               {int(behind)} AND (live = 0 OR maxIf(at, NOT fresh) < maxIf(at, fresh)) AS coming,
               coming OR maxIf(beyond, NOT fresh) AS elsewhere,
               rebuilt = 1 AND live = 1 AND min(content) = max(content)
                   AND maxIf(closed, NOT fresh) >= maxIf(closed, fresh) AS same
        FROM ({_both(hot, table, "true", key, content)}) GROUP BY {candle}"""
    comparison.compared, comparison.newer, differing = hot.client.execute(
        f"""SELECT countIf(rebuilt AND live AND NOT elsewhere), countIf(elsewhere),
        countIf(NOT elsewhere AND NOT same) FROM ({query})"""
    )[0]
    listed = 0
    differs = f"SELECT {candle} FROM ({query}) WHERE NOT elsewhere AND NOT same"
    first = f"{differs} ORDER BY {candle} LIMIT {LISTED}"
    for exchange, symbol, opened in hot.client.execute(first) if differing else ():
        where = f"""exchange = '{exchange}' AND canonical_symbol = '{symbol}'
            AND toUnixTimestamp64Milli(open_time) = {round(opened.timestamp() * 1000)}"""
        found = _rows(hot, table, where, f"{columns}, final, revision")
        what = f"{exchange} {symbol} {layer.timeframe} {opened:%Y-%m-%d %H:%M}"
        _add(comparison, what, found[True], found[False])
        listed += 1
    comparison.rows("different", (), differing - listed)
    return comparison


def _bound(bounds: Mapping[Source, int]) -> str:
    cases = "".join(
        f"exchange = '{exchange}' AND raw_partition = {partition}, {bounded(bounds, exchange, partition)}, "
        for exchange, partition in bounds
    )
    return f"multiIf({cases}{ALL})" if cases else str(ALL)


def _both(hot: HotRebuild, table: str, where: str, key: str, columns: str) -> str:
    """SQL of the key and a hash of the columns, for both the rebuilt and the live rows."""
    return " UNION ALL ".join(
        f"""SELECT {key}, {side} AS fresh, sipHash128(formatRow('RowBinary', {columns})) AS content
        FROM {database}.{table} FINAL WHERE {where}"""
        for side, database in (("true", hot.fresh), ("false", hot.live))
    )


def _rows(hot: HotRebuild, table: str, where: str, columns: str) -> dict[bool, list[dict[str, Any]]]:
    found = {}
    for side, database in ((True, hot.fresh), (False, hot.live)):
        rows, kinds = hot.client.execute(
            f"SELECT {columns} FROM {database}.{table} FINAL WHERE {where}", with_column_types=True
        )
        found[side] = [dict(zip([name for name, _ in kinds], row, strict=True)) for row in rows]
    return found


def _add(
    comparison: Comparison, what: str, rebuilt: list[dict[str, Any]], found: list[dict[str, Any]]
) -> None:
    if not found:
        comparison.rows("missing", [what])
    elif not rebuilt:
        comparison.rows("surplus", [what])
    elif len(found) > 1:
        comparison.rows("doubled", [what])
    else:
        comparison.values(what, rebuilt[0], found[0])


def layers(
    hot: HotRebuild, bounds: Mapping[str, Mapping[Source, int]], *, behind: bool
) -> Iterator[Comparison]:
    """Compare all tables; `bounds` has, by table, the raw offsets where the comparison ends."""
    for name, table in TABLES.items():
        if table.timeframe:
            yield candles(hot, table, bounds[name], behind=behind)
        else:
            yield trades(hot, table, bounds[name])
