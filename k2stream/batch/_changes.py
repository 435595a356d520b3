"""What a flush writes to a changelog, and the keys there that are no entries."""

from __future__ import annotations

from typing import Generic, NamedTuple

from k2stream.batch._generic import K, V

RESERVED = b"\x00"
"""Prefix of changelog keys that are not table entries; no key codec here produces it."""

NOTE_KEY = RESERVED + b"source"
"""Changelog key of the identity that records up to which source record a table is written."""


class Changes(NamedTuple, Generic[K, V]):
    """Encoded changelog entries of one partition; a value of None is a tombstone."""

    partition: int
    contents: dict[K, V]
    keys: list[bytes]
    values: list[bytes | None]
