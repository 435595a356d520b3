"""Writes a file piece by piece; it gets its name when it is complete."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import msgspec
import pyarrow as pa
from pyarrow import ipc, parquet

from k2stream.model.errors import ConfigError

Write = Callable[[pa.Table], None]


@contextmanager
def written(path: Path, form: str, schema: pa.Schema) -> Iterator[Write]:
    """A function that appends rows to a file of a format, which replaces `path` at the end of the block.

    After an error, what was at `path` before is still there, and nothing else. Raises ConfigError if the
    folder cannot be written to.
    """
    # Not by the process's number: in a container it is that of the one before, or of one beside it.
    fresh = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with fresh.open("xb") as file, _WRITERS[form](file, schema) as write:
            yield write
        with fresh.open("rb") as complete:
            os.fsync(complete.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}; choose another --to"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _parquet(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer.write_table


@contextmanager
def _feather(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    with ipc.new_file(file, schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
        yield writer.write_table


@contextmanager
def _csv(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    text = TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(schema.names)

    def write(rows: pa.Table) -> None:
        columns = [column.cast(pa.string()).to_pylist() for column in rows.columns]
        writer.writerows(zip(*columns, strict=True))

    yield write
    text.detach()  # flushed, and not closed: the file is the caller's


@contextmanager
def _json(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    """One array per row; text in a column of numbers is written as the number."""
    numeric = [field.name in _NUMBERS for field in schema]
    encoder = msgspec.json.Encoder()
    before = b"["

    def write(rows: pa.Table) -> None:
        nonlocal before
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            values = [_raw(value) if number else value for value, number in zip(row, numeric, strict=True)]
            file.write(before + encoder.encode(values))
            before = b","

    yield write
    file.write(b"[]" if before == b"[" else b"]")


def _raw(digits: Any) -> msgspec.Raw:
    return msgspec.Raw(str(digits).encode())


_NUMBERS = {"open", "high", "low", "close", "volume", "price", "amount", "cost"}
_WRITERS = {"parquet": _parquet, "feather": _feather, "csv": _csv, "json": _json}
