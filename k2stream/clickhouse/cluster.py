"""Rewrites the statements of schemas/clickhouse from one server to a cluster (pure).

Each table becomes two on every server: a replicated `<table>_local`, and a Distributed table under the
original name, through which all writes and reads go. The shard of a row is derived from its sorting key, so
that rows which must collapse (replays, revisions of a candle) are on the same shard. The servers'
configuration defines the cluster's name and the macros {shard} and {replica}:
https://clickhouse.com/docs/engines/table-engines/mergetree-family/replication
"""

from __future__ import annotations

import re
from collections.abc import Mapping

INSERT: Mapping[str, int] = {"distributed_foreground_insert": 1}
"""Settings of inserts: the server answers only after the rows are on their shards."""

_CREATE_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS (?P<table>[\w.]+)\s*\n(?P<columns>\(.*?\n\))\s*\n"
    r"ENGINE = (?P<engine>\w+)(?P<version>\(\w+\))?\s*\n(?P<rest>.*)",
    re.DOTALL,
)
_ORDER = re.compile(r"ORDER BY \(([^)]*)\)")
_CREATE_OTHER = re.compile(r"CREATE (OR REPLACE VIEW|DATABASE IF NOT EXISTS|VIEW IF NOT EXISTS) ([\w.]+)")
_KEY = re.compile(r",\s*MODIFY ORDER BY \([^)]*\)")
_CODEC = re.compile(r" CODEC\((?:[^()]|\([^()]*\))*\)")
_ALTER = re.compile(r"ALTER TABLE ([\w.]+)\s+(.*)", re.DOTALL)

_SHARDED_BY = 2
"""The number of leading sorting key columns to shard by; the revisions of a candle share them."""


def local(table: str) -> str:
    """The name of the table that has a server's rows of a Distributed one."""
    return f"{table}_local"


def clustered(statement: str, cluster: str) -> list[str]:
    """The statements to run instead of `statement`; `statement` itself when `cluster` is empty.

    Raises ValueError for a statement that has no known cluster form.
    """
    if not cluster:
        return [statement]
    on = f"ON CLUSTER '{cluster}'"
    if found := _CREATE_TABLE.fullmatch(statement.strip()):
        return _tables(found, cluster, on)
    if found := _CREATE_OTHER.match(statement):
        kind, name = found.groups()
        return [f"CREATE {kind} {name} {on}{statement[found.end() :]}"]
    if found := _ALTER.fullmatch(statement.strip()):
        table, change = found.groups()
        of_local = f"ALTER TABLE {local(table)} {on} {change}"
        added = _KEY.sub("", change)  # a Distributed table has no sorting key
        of_both = change.startswith(("ADD COLUMN", "MODIFY COLUMN"))
        return [of_local, f"ALTER TABLE {table} {on} {_CODEC.sub('', added)}"] if of_both else [of_local]
    raise ValueError(f"no form for a cluster is known of: {statement[:80]}")


def _tables(found: re.Match[str], cluster: str, on: str) -> list[str]:
    table, (database, _, name) = found["table"], found["table"].partition(".")
    order = _ORDER.search(found["rest"])
    if order is None:
        raise ValueError(f"{table} has no ORDER BY (…) to be sharded by")
    key = ", ".join(order[1].split(", ")[:_SHARDED_BY])
    rest = found["rest"].replace("non_replicated_deduplication_window", "replicated_deduplication_window")
    engine = f"Replicated{found['engine']}{found['version'] or ''}"
    return [
        f"CREATE TABLE IF NOT EXISTS {local(table)} {on}\n{found['columns']}\nENGINE = {engine}\n{rest}",
        f"CREATE TABLE IF NOT EXISTS {table} {on} AS {local(table)}\n"
        f"ENGINE = Distributed('{cluster}', {database}, {local(name)}, cityHash64({key}))",
    ]
