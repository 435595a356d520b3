"""Dead letters: data that could not be used, kept with its cause and its original bytes."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from k2stream.batch import RecordBatch

MAX_ORIGINAL = 660_000
"""Bytes of an original that are kept: base64 makes four of three, and a record has 900,000."""


Identity = tuple[str, str, str, int, int]
"""Stage, reader, topic, partition, offset."""


MAX_CAUSE = 1000
"""Characters of a cause; JSON may make six bytes of one."""

MAX_NAME = 64
"""Characters of an exchange that a record's key names."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record of the dead-letter topic (JSON). `original` is base64; `time` µs since 1970.

    `topic`, `partition` and `offset` say where the record was read; a frame that never became a record
    has an empty topic and the connection that brought it. `reader` is the sink's table that lacks the record.
    """

    cause: str
    exchange: str
    time: int
    original: str
    stage: str  # the worker's role
    reader: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1
    connection: str = ""

    @property
    def identity(self) -> Identity | None:
        """What it is of: a crash may bring the letter of a record again. None for a frame."""
        return (self.stage, self.reader, self.topic, self.partition, self.offset) if self.topic else None

    @property
    def original_bytes(self) -> bytes:
        """The bytes as they came."""
        return base64.b64decode(self.original)

    @property
    def complete(self) -> bool:
        """Whether the original is all that came: see `shortened`."""
        return _SHORTENED.search(self.cause) is None


_SHORTENED = re.compile(r" \(first \d+ of \d+ bytes kept\)$")


def of_record(
    batch: RecordBatch, row: int, cause: str, exchange: str, *, stage: str, time: int, reader: str = ""
) -> DeadLetter:
    """The letter of a record that was read from a topic; `time` µs."""
    cause, kept = shortened(cause, batch.values[row] or b"")
    return DeadLetter(
        cause=cause,
        exchange=exchange[:MAX_NAME],
        time=time,
        original=kept,
        stage=stage,
        reader=reader,
        topic=batch.tp.topic,
        partition=batch.tp.partition,
        offset=int(batch.offsets[row]),
    )


def encode(letter: DeadLetter) -> bytes:
    """The record's JSON."""
    return msgspec.json.encode(letter)


def original(data: bytes) -> str:
    """Bytes as `DeadLetter.original` holds them."""
    return base64.b64encode(data).decode()


def shortened(cause: str, data: bytes) -> tuple[str, str]:
    """Cause and `DeadLetter.original` of text and bytes of any size: only their beginnings are kept."""
    cause = cause[:MAX_CAUSE]
    if len(data) > MAX_ORIGINAL:
        cause += f" (first {MAX_ORIGINAL} of {len(data)} bytes kept)"
    return cause, original(data[:MAX_ORIGINAL])
