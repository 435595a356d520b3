"""Copies Iceberg tables to Parquet files, using pyiceberg alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

from k2stream.settings import IcebergSettings


def load(settings: IcebergSettings, name: str) -> Any:
    """A table of the cold tier in its current state; None when it does not exist."""
    folder = settings.data_path / "iceberg"
    uri = settings.catalog_uri
    if not uri and not (folder / "catalog.db").exists():
        return None
    kind = "rest" if uri.startswith(("http://", "https://")) else "sql"
    options = {
        "type": kind,
        "uri": uri or f"sqlite:///{folder}/catalog.db",
        "warehouse": settings.warehouse or f"file://{folder}/warehouse",
        **settings.access,
    }
    try:
        return load_catalog("k2", **options).load_table(f"cold.{name}")
    except NoSuchTableError:
        return None


def pieces(table: Any, where: str = "") -> Iterator[pa.Table]:
    """The rows of a table in pieces, in no order."""
    scan = table.scan(row_filter=where) if where else table.scan()
    for batch in scan.to_arrow_batch_reader():
        if batch.num_rows:
            yield pa.Table.from_batches([batch])


def offsets(table: Any, where: str) -> NDArray[np.int64]:
    """The raw offsets of the rows that match a filter, in no order."""
    found = table.scan(row_filter=where, selected_fields=("raw_offset",)).to_arrow()["raw_offset"]
    return np.asarray(found.to_numpy(), np.int64)


def micros(column: Any) -> Any:
    """A column of times, in µs."""
    return pc.cast(pc.cast(column, pa.timestamp("us", tz="UTC")), pa.int64())


def moment(us: int) -> str:
    """A time in µs as filters need it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat(timespec="microseconds")


def dump(settings: IcebergSettings, name: str, path: Path) -> bool:
    """Write a table's rows to a Parquet file, with times in µs; False without a table or rows."""
    table = load(settings, name)
    writer = None
    for piece in pieces(table) if table is not None else ():
        for index, field in enumerate(piece.schema):
            if pa.types.is_timestamp(field.type):
                piece = piece.set_column(index, field.name, micros(piece[field.name]))
        writer = writer or pq.ParquetWriter(path, piece.schema, compression="lz4")
        writer.write_table(piece.cast(writer.schema))
    if writer is None:
        return False
    writer.close()
    return True
