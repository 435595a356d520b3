"""Compaction: merges the small files of a partition.

New files are written first; then one commit per bin replaces the old ones. A kill before the commit leaves
files that no snapshot names (orphans); a kill after it leaves nothing behind. Replaced files stay on disk for
older snapshots. Each commit carries over the positions of the table state that it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table, TableProperties

from k2stream.iceberg.commit import committed
from k2stream.iceberg.maintenance.plan import File, bins
from k2stream.iceberg.maintenance.rewrite import rewrite
from k2stream.iceberg.writer import carried

Load = Callable[[], Table]


def planned(table: Table, max_rows: int, among: set[str] | None = None) -> list[list[FileScanTask]]:
    """The bins of files to merge now, from all files or only from those `among`."""
    tasks = {path: task for path, task in _tasks(table).items() if among is None or path in among}
    target = int(
        table.properties.get(
            TableProperties.WRITE_TARGET_FILE_SIZE_BYTES, TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT
        )
    )
    found = bins([_file(table, task.file) for task in tasks.values()], target, max_rows)
    return [[tasks[file.path] for file in one] for one in found]


def compact(load: Load, order: Sequence[str], max_rows: int) -> None:
    """Merge until each partition has at most one small file, of the files that existed at the call.

    A bin ends at `max_rows`, which bounds the memory. Raises RowsLost, Overtaken.
    """
    table = load()
    among = set(_tasks(table))
    while found := planned(table, max_rows, among):
        for tasks in found:
            merged = rewrite(table, tasks, order)
            among.add(merged.file_path)
            committed(partial(_replace, load, [task.file for task in tasks], merged))
        table = load()


def _replace(load: Load, old: list[DataFile], new: DataFile) -> None:
    """Does nothing when the old files are gone: another maintenance or an earlier attempt has merged them."""
    table = load()
    live = _tasks(table)
    if not all(file.file_path in live for file in old):
        return
    with (
        table.transaction() as transaction,
        transaction.update_snapshot(snapshot_properties=carried(table)).overwrite() as snapshot,
    ):
        for file in old:
            snapshot.delete_data_file(file)
        snapshot.append_data_file(new)


def _tasks(table: Table) -> dict[str, FileScanTask]:
    """Live files by path, except those of an older partition spec and those with row deletes."""
    current = table.spec().spec_id
    return {
        task.file.file_path: task
        for task in table.scan().plan_files()
        if task.file.spec_id == current and not task.delete_files
    }


def _file(table: Table, file: DataFile) -> File:
    partition = tuple(file.partition[position] for position in range(len(file.partition)))
    return File(file.file_path, partition, _oldest(table, file), file.file_size_in_bytes, file.record_count)


def _oldest(table: Table, file: DataFile) -> int:
    """Lower bound of the partitioning time column: a little-endian long (Iceberg spec, appendix D)."""
    column = table.spec().fields[0].source_id
    return int.from_bytes((file.lower_bounds or {}).get(column, b""), "little", signed=True)
