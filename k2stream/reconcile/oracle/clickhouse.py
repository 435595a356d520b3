"""Copies ClickHouse tables to Parquet files, over the oracle's own connection."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from clickhouse_driver import Client, errors

from k2stream.model.errors import ConfigError, NoServer
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


@contextmanager
def connected(settings: ClickHouseSettings) -> Iterator[Any]:
    """A client while the context is open. Raises ConfigError when no server answers, or one refuses."""
    client = connect(settings)
    try:
        yield client
    except errors.ServerException as error:
        text = " ".join(str(error.message).partition("Stack trace:")[0].split())
        raise ConfigError(
            f"ClickHouse refused the query: {text.removeprefix('DB::Exception: ')[:500]}"
        ) from None
    except (errors.NetworkError, errors.SocketTimeoutError, OSError, EOFError) as error:
        where, why = f"{settings.host}:{settings.port}", " ".join(str(error).split())[:200]
        text = f"no ClickHouse at {where} ({why}): start a platform with `k2 up`, or set K2_CLICKHOUSE_HOST"
        raise NoServer(text, where, "K2_CLICKHOUSE_HOST") from None
    finally:
        client.disconnect()


def dump(settings: ClickHouseSettings, source: str, columns: Columns, path: Path) -> None:
    """Write the current rows of a table or view to a file; `source` is its name, with FINAL for a table."""
    name, _, final = source.partition(" ")
    selected = ", ".join(f"{sql} AS `{name}`" for name, (sql, _) in columns.items())
    query = f"SELECT {selected} FROM {settings.database}.{name} AS stored {final}"
    schema = pa.schema([(name, kind) for name, (_, kind) in columns.items()])
    with ParquetWriter(path, schema, nullable=True) as writer:
        for rows in _pieces(settings, query):
            writer.rows(rows)


def _pieces(settings: ClickHouseSettings, query: str) -> Iterator[list[Any]]:
    with connected(settings) as client:
        found = iter(client.execute_iter(query))
        while rows := list(islice(found, _AT_ONCE)):
            yield rows
