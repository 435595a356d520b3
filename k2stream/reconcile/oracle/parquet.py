"""Writes rows that are read in pieces to Parquet files for the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq


class ParquetWriter:
    """Writes columns to one file; a context manager. `count` is the number of rows so far.

    Values must not be null unless `nullable`: the engine cannot sort by nullable columns.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, nullable: bool = False) -> None:
        self._schema = pa.schema([field.with_nullable(nullable) for field in schema])
        self._writer = pq.ParquetWriter(path, self._schema, compression="lz4")
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def columns(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """Add rows given as columns."""
        arrays = [pa.array(columns[field.name], field.type) for field in self._schema]
        self.table(pa.table(arrays, schema=self._schema))

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Add rows given one by one, with values in schema order."""
        columns = list(zip(*rows, strict=True))
        if columns:
            self.columns(dict(zip(self._schema.names, columns, strict=True)))

    def table(self, table: pa.Table) -> None:
        """Add the rows of a table."""
        self._writer.write_table(table)
        self.count += len(table)
