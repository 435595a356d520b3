"""Copies ClickHouse tables to Parquet files, over the oracle's own connection."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from clickhouse_driver import Client

from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.settings import ClickHouseSettings

Columns = Mapping[str, tuple[str, pa.DataType]]
"""SQL and type of each column, by name."""

_AT_ONCE = 50_000


def connect(settings: ClickHouseSettings) -> Any:
    """A client for the configured server. It connects at its first query."""
    logging.getLogger("clickhouse_driver").setLevel(logging.ERROR)  # its log entries are raised as errors too
    return Client(
        **settings.connection,
        settings={"max_execution_time": 600, "max_block_size": _AT_ONCE},
    )


def dump(settings: ClickHouseSettings, source: str, columns: Columns, path: Path) -> None:
    """Write the current rows of a table or view to a file; `source` is its name, with FINAL for a table."""
    name, _, final = source.partition(" ")
    selected = ", ".join(f"{sql} AS `{name}`" for name, (sql, _) in columns.items())
    query = f"SELECT {selected} FROM {settings.database}.{name} AS stored {final}"
    schema = pa.schema([(name, kind) for name, (_, kind) in columns.items()])
    client = connect(settings)
    try:
        with ParquetWriter(path, schema, nullable=True) as writer:
            found = iter(client.execute_iter(query))
            while rows := list(islice(found, _AT_ONCE)):
                writer.rows(rows)
    finally:
        client.disconnect()
