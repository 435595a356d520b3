"""Table keys and their changelog encoding; windowed keys are ``(key, (start, end))`` as in Faust."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

WINDOW_GAP = 0.1
"""Seconds by which Faust ends a window before the next starts (`WindowRange_from_start` of faust.types)."""


def window_key(key: T, start: float, size: float) -> tuple[T, tuple[float, float]]:
    """Return the table key of ``key`` in the window of ``size`` seconds from ``start`` (s since 1970)."""
    return key, (float(start), float(start) + size - WINDOW_GAP)


def window_of(table_key: tuple[T, tuple[float, float]]) -> tuple[T, float, float]:
    """Return (key, start, end) of a windowed table key, in seconds since 1970; ``end`` is exclusive."""
    key, (start, end) = table_key
    return key, start, round(end + WINDOW_GAP, 6)


def dump_key(key: object) -> bytes:
    """Encode as JSON; equal keys give equal bytes, because compaction compares bytes."""
    return msgspec.json.encode(key)


def load_key(raw: bytes) -> Any:
    return hashable(msgspec.json.decode(raw))


def dump_window_key(table_key: tuple[object, tuple[float, float]]) -> bytes:
    """Encode as JSON ``[key, [start, end]]``, always with floats as bounds."""
    key, (start, end) = table_key
    return msgspec.json.encode((key, (float(start), float(end))))


def load_window_key(raw: bytes) -> tuple[Any, tuple[float, float]]:
    key, (start, end) = msgspec.json.decode(raw)
    return hashable(key), (start, end)


def hashable(value: object) -> Any:
    """Return a JSON value with its lists as tuples."""
    return tuple(map(hashable, value)) if isinstance(value, list) else value
