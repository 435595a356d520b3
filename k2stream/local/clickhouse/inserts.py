"""The data of an INSERT, given to the engine as a file.

Not by chdb's `send_insert`, which answers success to an INSERT that fails after its data are parsed (in a
constraint or a materialised view); nor inline, where data end at a blank line.
"""

import tempfile
from pathlib import Path
from typing import IO

from .engine import Session
from .statements import Insert

ONE_THREAD = "max_threads = 1"  # more of them cost a third more for the few rows of a sink's insert


def data_file(folder: Path) -> IO[bytes]:
    """A file without a name in `folder`, so that data of any size are never all in memory."""
    return tempfile.TemporaryFile(dir=folder)


def insert(session: Session, statement: Insert, data: IO[bytes]) -> tuple[int, int]:
    """Insert all of `data`: the rows and bytes written, views included. Raises RuntimeError of the engine."""
    data.flush()
    source = f"FROM INFILE '/proc/self/fd/{data.fileno()}' COMPRESSION 'none'"
    settings = f"{statement.settings}, {ONE_THREAD}" if statement.settings else f"SETTINGS {ONE_THREAD}"
    result = session.query(f"{statement.target} {source} {settings} FORMAT {statement.format}")
    return result.rows_written(), result.bytes_written()


def insert_bytes(session: Session, statement: Insert, data: bytes, folder: Path) -> tuple[int, int]:
    """`insert` of data that are in memory."""
    with data_file(folder) as file:
        file.write(data)
        return insert(session, statement, file)
