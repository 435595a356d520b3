"""Bronze rows of ClickHouse and Iceberg, with every column as text, so that every digit is compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from k2stream.reconcile.oracle import clickhouse, iceberg, venues
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.settings import ClickHouseSettings, IcebergSettings

_OURS = ("receive_time", "connection", "sequence")
_KEY = ("raw_partition", "raw_offset")


def columns(exchange: str) -> tuple[str, ...]:
    """The columns to compare."""
    return (*venues.for_exchange(exchange).columns, *_OURS)


def expected(engine: OracleEngine, exchange: str) -> None:
    """Create `bronze_<exchange>` from `native_<exchange>`."""
    texts = ", ".join(
        f"CAST({name}, 'Nullable(String)') AS {name}" for name in venues.for_exchange(exchange).columns
    )
    engine.table(
        f"bronze_{exchange}",
        f"""SELECT '{exchange}' AS exchange, raw_partition, raw_offset, required, cold, received, {texts},
                toString(received) AS receive_time, connection, toString(ingest_sequence) AS sequence
            FROM native_{exchange} WHERE storable""",
        "(exchange, raw_partition, raw_offset)",
    )


def hot(settings: ClickHouseSettings, engine: OracleEngine, exchange: str, name: str, path: Path) -> None:
    """Load ClickHouse's bronze of an exchange."""
    sql = {
        column: (f"toString(stored.{column})", pa.string())
        for column in venues.for_exchange(exchange).columns
    }
    sql |= {
        "receive_time": ("toString(toUnixTimestamp64Micro(stored.receive_time))", pa.string()),
        "connection": ("toString(stored.connection)", pa.string()),
        "sequence": ("toString(stored.sequence)", pa.string()),
    }
    sql |= {column: (f"toInt64(stored.{column})", pa.int64()) for column in _KEY}
    clickhouse.dump(settings, f"bronze_trades_{exchange} FINAL", sql, path)
    _table(engine, exchange, name, path)


def cold(settings: IcebergSettings, engine: OracleEngine, exchange: str, name: str, path: Path) -> None:
    """Load Iceberg's bronze of an exchange."""
    if iceberg.dump(settings, f"bronze_trades_{exchange}", path):
        return _table(engine, exchange, name, path, venues.for_exchange(exchange).renamed)
    kinds = [(column, pa.string()) for column in columns(exchange)]
    with ParquetWriter(path, pa.schema([*kinds, *((column, pa.int64()) for column in _KEY)])):
        pass
    return _table(engine, exchange, name, path)


def _table(
    engine: OracleEngine, exchange: str, name: str, path: Path, renamed: Mapping[str, str] | None = None
) -> None:
    stored = {column: (renamed or {}).get(column, column) for column in columns(exchange)}
    texts = ", ".join(f"CAST({source}, 'Nullable(String)') AS {column}" for column, source in stored.items())
    keys = ", ".join(f"toInt64(assumeNotNull({column})) AS {column}" for column in _KEY)
    engine.table(
        name,
        f"SELECT '{exchange}' AS exchange, {keys}, {texts} FROM file('{path}', Parquet)",
        "(exchange, raw_partition, raw_offset)",
    )
