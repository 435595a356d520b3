"""Rewrites several data files into one sorted file, as pyiceberg writes it, but of the planned size.

pyiceberg's own appends split files by their size in memory, which is several times the size on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.fileformat import FileFormatFactory
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import FileScanTask, Table

from k2stream.model.errors import Inconsistent

ROW_GROUP = 1 << 17


class RowsLost(Inconsistent):
    """The number of rows in files differs from the table's metadata."""


def rewrite(table: Table, tasks: Sequence[FileScanTask], order: Sequence[str]) -> DataFile:
    """Write the rows of files of one partition into a new file, which no snapshot names yet.

    Raises RowsLost when rows are missing; then nothing may be replaced.
    """
    partition = tasks[0].file.partition
    folder = table.spec().partition_to_path(partition, table.schema())
    name = f"{folder}/00000-0-{uuid4()}.parquet".lstrip("/")
    output = table.io.new_output(table.location_provider().new_data_location(name))
    model = FileFormatFactory.get(FileFormat.PARQUET)
    with model.create_writer(output, table.schema(), table.properties) as writer:
        for group in _sorted_groups(_combined(_read(table, tasks)), order):
            writer.write(group)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=output.location,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=len(output),
        sort_order_id=table.metadata.default_sort_order_id or None,
        spec_id=table.spec().spec_id,
        equality_ids=None,
        key_metadata=None,
        **writer.result().to_serialized_dict(),
    )


def _read(table: Table, tasks: Sequence[FileScanTask]) -> pa.Table:
    rows = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue()).to_table(tasks)
    expected = sum(task.file.record_count for task in tasks)
    if len(rows) != expected:
        raise RowsLost(
            f"{len(tasks)} files hold {len(rows)} rows, their metadata says {expected}: nothing is replaced"
        )
    return rows.cast(table.schema().as_arrow())


def _combined(rows: pa.Table) -> pa.Table:
    """Each column as one chunk, combined one at a time, so that the rows are never in memory twice."""
    schema, columns = rows.schema, rows.columns
    del rows
    for index in range(len(columns)):
        columns[index] = columns[index].combine_chunks()
    return pa.table(columns, schema=schema)


def _sorted_groups(rows: pa.Table, order: Sequence[str]) -> Iterator[pa.Table]:
    indices = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in order])
    for start in range(0, len(rows), ROW_GROUP):
        yield rows.take(indices.slice(start, ROW_GROUP))
