"""Dead letters: frames and records that could not be used, with the cause and the original bytes."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from k2stream.batch import RecordBatch

MAX_ORIGINAL = 660_000
"""Bytes of an original that are kept: base64 makes 880,000 of them, and a record may have 900,000."""


Identity = tuple[str, str, str, int, int]
"""Stage, reader, topic, partition, offset."""


MAX_CAUSE = 1000
"""Characters of a cause that are kept; JSON may escape one character to six bytes."""

MAX_NAME = 64
"""Characters of an exchange's name that are kept; it may come from the key of a bad record."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record of the dead-letter topic (JSON). `original` is base64, `time` in µs since 1970.

    `topic`, `partition` and `offset` say where the record was read. A frame that never became a record has an
    empty topic, and names its `connection`. `reader` is the sink table that lacks the record.
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
        """Identifies the record, for a crash can write its dead letter twice; None for a frame."""
        return (self.stage, self.reader, self.topic, self.partition, self.offset) if self.topic else None

    @property
    def original_bytes(self) -> bytes:
        """The original bytes as received, possibly cut: see `complete`."""
        return base64.b64decode(self.original)

    @property
    def complete(self) -> bool:
        """Whether the original is whole; False where `shortened` cut it."""
        return _SHORTENED.search(self.cause) is None


_SHORTENED = re.compile(r" \(first \d+ of \d+ bytes kept\)$")


def of_record(
    batch: RecordBatch, row: int, cause: str, exchange: str, *, stage: str, time: int, reader: str = ""
) -> DeadLetter:
    """The dead letter of a record that was read from a topic; `time` in µs since 1970."""
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
    """Encode a dead letter as JSON."""
    return msgspec.json.encode(letter)


def original(data: bytes) -> str:
    """Encode bytes for `DeadLetter.original` (base64)."""
    return base64.b64encode(data).decode()


def shortened(cause: str, data: bytes) -> tuple[str, str]:
    """Cause and encoded original, cut to MAX_CAUSE and MAX_ORIGINAL; the cause then says how much is left."""
    cause = cause[:MAX_CAUSE]
    if len(data) > MAX_ORIGINAL:
        cause += f" (first {MAX_ORIGINAL} of {len(data)} bytes kept)"
    return cause, original(data[:MAX_ORIGINAL])
