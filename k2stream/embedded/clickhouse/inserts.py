"""Passes the data of an INSERT to the engine as a file.

chdb's `send_insert` reports success for an INSERT that fails after its data are parsed (in a constraint or a
materialized view), and inline data would end at a blank line.
"""

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from k2stream.embedded.clickhouse.engine import Session
from k2stream.embedded.clickhouse.statements import Insert

ONE_THREAD = "max_threads = 1"  # more threads cost a third more for the few rows of a sink's insert


IN_MEMORY = 8 << 20
"""Limit in bytes: freeing the inode of a file slows the file system's next allocations for seconds."""


class DataFile:
    """An unnamed temporary file: in memory while small, else in `folder`. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] = os.fdopen(os.memfd_create("insert"), "w+b")
        self._on_disk = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append data."""
        if not self._on_disk and self._file.tell() + len(data) > IN_MEMORY:
            self._spill()
        self._file.write(data)

    def _spill(self) -> None:
        small, self._on_disk = self._file, True
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with this one
        with small:
            small.seek(0)
            shutil.copyfileobj(small, self._file)

    def path(self) -> str:
        """Path at which this process can read the data."""
        self._file.flush()
        return f"/proc/self/fd/{self._file.fileno()}"


def insert(session: Session, statement: Insert, data: DataFile) -> tuple[int, int]:
    """Insert all of `data`; returns (rows, bytes) written, views included. Raises RuntimeError."""
    source = f"FROM INFILE '{data.path()}' COMPRESSION 'none'"
    settings = f"{statement.settings}, {ONE_THREAD}" if statement.settings else f"SETTINGS {ONE_THREAD}"
    result = session.query(f"{statement.target} {source} {settings} FORMAT {statement.format}")
    return result.rows_written(), result.bytes_written()


def insert_bytes(session: Session, statement: Insert, data: bytes, folder: Path) -> tuple[int, int]:
    """Same as `insert`, for data in memory."""
    with DataFile(folder) as file:
        file.write(data)
        return insert(session, statement, file)
