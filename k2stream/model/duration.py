"""Durations for people."""

from __future__ import annotations

_UNITS = ((3600, "h"), (60, "min"))


def duration(seconds: float) -> str:
    """A duration in the largest unit that it fills, cut off: "40 s", "15 min", "3 h"."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
