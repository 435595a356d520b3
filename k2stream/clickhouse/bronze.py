"""Bronze tables for exchanges that no migration file covers, derived from their native fields (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import NoneType
from typing import get_args, get_type_hints

from k2stream.clickhouse.evolve import clickhouse_type
from k2stream.delivery.route import Route
from k2stream.exchanges import REGISTRY
from k2stream.exchanges.spec import Exchange
from k2stream.layers.bronze import ROUTES

VIEW = "bronze_trades_view"

_TABLE = """CREATE TABLE IF NOT EXISTS ${{database}}.{table}
(
{columns}
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(receive_time)
ORDER BY ({symbol}, raw_partition, raw_offset)
TTL toDateTime(receive_time) + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1"""


def tables(made: Collection[str]) -> dict[str, str]:
    """CREATE statements, over `${database}`, for bronze tables not in `made`, keyed by table name."""
    pairs = zip(REGISTRY.values(), ROUTES, strict=True)
    return {route.table: statement(exchange, route) for exchange, route in pairs if route.table not in made}


def statement(exchange: Exchange, route: Route) -> str:
    """CREATE statement of a bronze table, in the form that schemas/clickhouse/002_bronze.sql uses."""
    hints = get_type_hints(exchange.native.record)
    optional = {name for name, kind in hints.items() if NoneType in get_args(kind)}
    columns = ",\n".join(
        f"    `{field.name}` {_nullable(clickhouse_type(field.type), field.name in optional)}"
        for field in route.schema
    )
    return _TABLE.format(table=route.table, columns=columns, symbol=exchange.native.symbol)


def _nullable(kind: str, optional: bool) -> str:
    if not optional:
        return kind
    inner = kind.removeprefix("LowCardinality(").removesuffix(")") if kind.startswith("LowC") else ""
    return f"LowCardinality(Nullable({inner}))" if inner else f"Nullable({kind})"


def view(statements: Sequence[str], database: str, tables: Collection[str]) -> str:
    """The view of all bronze tables in silver's columns: the newest in `statements`, extended by `tables`."""
    head = f"CREATE OR REPLACE VIEW {database}.{VIEW} "
    newest = [each for each in statements if each.startswith(head)][-1]
    more = [
        f"SELECT '{exchange.name}', {exchange.native.bronze_view.strip()},\n"
        f"    receive_time, raw_partition, raw_offset\nFROM {database}.{route.table} FINAL"
        for exchange, route in zip(REGISTRY.values(), ROUTES, strict=True)
        if route.table in tables and exchange.native.bronze_view
    ]
    return "\nUNION ALL\n".join([newest, *more])
