"""Keys of tables and how the changelog spells them; windowed keys are ``(key, (start, end))`` as in Faust."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

WINDOW_GAP = 0.1
"""Seconds by which Faust ends a window before the next starts (`WindowRange_from_start` of faust.types)."""


def window_key(key: T, start: float, size: float) -> tuple[T, tuple[float, float]]:
    """Table key of ``key`` in the window of ``size`` seconds from ``start`` (seconds since 1970)."""
    return key, (float(start), float(start) + size - WINDOW_GAP)


def window_of(table_key: tuple[T, tuple[float, float]]) -> tuple[T, float, float]:
    """(key, start, end) of a windowed table key; ``end`` is exclusive, in seconds since 1970."""
    key, (start, end) = table_key
    return key, start, round(end + WINDOW_GAP, 6)


def dump_key(key: object) -> bytes:
    """JSON; equal keys give equal bytes, as compaction compares bytes."""
    return msgspec.json.encode(key)


def load_key(raw: bytes) -> Any:
    return _hashable(msgspec.json.decode(raw))


def dump_window_key(table_key: tuple[object, tuple[float, float]]) -> bytes:
    """JSON ``[key, [start, end]]``, with the bounds as floats whatever the caller passed."""
    key, (start, end) = table_key
    return msgspec.json.encode((key, (float(start), float(end))))


def load_window_key(raw: bytes) -> tuple[Any, tuple[float, float]]:
    key, (start, end) = msgspec.json.decode(raw)
    return _hashable(key), (start, end)


def _hashable(value: object) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
