"""Files in a table's folder that none of its snapshots needs, left by killed writers and expiry.

Files are listed before the metadata is read: anything committed in between counts as needed. Files that a
running writer has not committed yet are protected only by their age.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from k2stream.iceberg.maintenance import plan
from k2stream.model.errors import ConfigError, Inconsistent

_OURS = (".parquet", ".avro", ".metadata.json", ".stats", ".puffin")
"""Other files in the folder were put there by a person."""


class FilesGone(Inconsistent):
    """Files that the table needs are missing, or listed under other names: nothing is removed."""


class Exchanged(Inconsistent):
    """The table's name is another table's by now: nothing is removed."""


class OrphansFound(NamedTuple):
    """The orphans and their bytes, and the total number of files and bytes."""

    orphans: list[str]
    files: int
    bytes: int
    orphan_bytes: int


def find(
    load: Callable[[], Table], before: datetime, since: datetime = plan.EVER, known: Collection[str] = ()
) -> OrphansFound:
    """Orphans last written before `before`, if written after `since` (when we own the location) or `known`.

    Raises FilesGone, Exchanged, OSError.
    """
    table = load()
    live = {_path(table, task.file.file_path) for task in table.scan().plan_files()}
    files, folder = _storage(table)
    listed = {
        info.path: info
        for info in files.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))
        if info.type == FileType.File and info.path.endswith(_OURS)
    }
    gone = sorted(live - listed.keys())
    if gone:
        raise FilesGone(
            f"{len(gone)} data files of the table are not in {table.location()}, so nothing is removed: "
            f"{gone[0]}, …"
        )
    written = {path: info.mtime for path, info in listed.items()}
    found = plan.orphans(written, needed(_again(load, table)), before, since, known)
    return OrphansFound(
        found,
        len(listed),
        sum(info.size for info in listed.values()),
        sum(listed[path].size for path in found),
    )


def _again(load: Callable[[], Table], listed: Table) -> Table:
    """The newest state of the table whose files were listed; a swap gives its name to another table."""
    table = load()
    if table.metadata.table_uuid != listed.metadata.table_uuid:
        raise Exchanged(
            f"{'.'.join(table.name())} was exchanged for another table while its files were listed, so "
            "nothing is removed: the next maintenance does it"
        )
    return table


def remove(table: Table, paths: list[str]) -> None:
    """Delete files; those that another maintenance deleted first are skipped."""
    files, _ = _storage(table)
    for path in paths:
        with suppress(FileNotFoundError):
            files.delete_file(path)


def needed(table: Table) -> set[str]:
    """The files that any snapshot of the table needs, and the metadata files."""
    metadata = table.metadata
    names = {table.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)}
    names |= {statistics.statistics_path for statistics in metadata.statistics}
    names |= {statistics.statistics_path for statistics in metadata.partition_statistics}
    for snapshot in metadata.snapshots:
        names.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in names:
                names.add(manifest.manifest_path)
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                names.update(entry.data_file.file_path for entry in entries)
    return {_path(table, name) for name in names}


def _storage(table: Table) -> tuple[FileSystem, str]:
    if not isinstance(table.io, PyArrowFileIO):
        raise ConfigError(
            f"{table.location()}: files are listed with pyarrow's file systems only; set the catalog's "
            "py-io-impl to pyiceberg.io.pyarrow.PyArrowFileIO"
        )
    scheme, host, path = PyArrowFileIO.parse_location(table.location())
    return table.io.fs_by_scheme(scheme, host), path


def _path(table: Table, location: str) -> str:
    return PyArrowFileIO.parse_location(location, table.io.properties)[2]
