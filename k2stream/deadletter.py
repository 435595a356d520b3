"""Dead letters: data that could not be used, kept with its cause and its original bytes."""

from __future__ import annotations

import base64
import re

import msgspec

MAX_ORIGINAL = 660_000
"""Bytes of an original that are kept: base64 makes four of three, and a record has 900,000."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record of the dead-letter topic (JSON). `original` is base64; `time` µs since 1970.

    `topic`, `partition` and `offset` say where the record was read; a frame that never became a record
    has an empty topic and the connection that brought it.
    """

    cause: str
    exchange: str
    time: int
    original: str
    stage: str  # ingest or normalize
    topic: str = ""
    partition: int = -1
    offset: int = -1
    connection: str = ""

    @property
    def original_bytes(self) -> bytes:
        """The bytes as they came."""
        return base64.b64decode(self.original)

    @property
    def complete(self) -> bool:
        """Whether the original is all that came: see `shortened`."""
        return _SHORTENED.search(self.cause) is None


_SHORTENED = re.compile(r" \(first \d+ of \d+ bytes kept\)$")


def encode(letter: DeadLetter) -> bytes:
    """The record's JSON."""
    return msgspec.json.encode(letter)


def original(data: bytes) -> str:
    """Bytes as `DeadLetter.original` holds them."""
    return base64.b64encode(data).decode()


def shortened(cause: str, data: bytes) -> tuple[str, str]:
    """Cause and `DeadLetter.original` of bytes of any size: only the first MAX_ORIGINAL are kept."""
    if len(data) > MAX_ORIGINAL:
        cause += f" (first {MAX_ORIGINAL} of {len(data)} bytes kept)"
    return cause, original(data[:MAX_ORIGINAL])
