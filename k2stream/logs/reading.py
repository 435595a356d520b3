"""Log lines read back, for people who look at a file of them."""

from __future__ import annotations

import json
from typing import Any

from k2stream.logs.records import one_line

_SHOWN = ("timestamp", "level", "logger", "event", "exception", "role", "worker", "pid")


def parsed(line: str) -> dict[str, Any] | None:
    """The record of a line; None for a line that is none, such as the last one of a process that failed."""
    try:
        found = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def readable(line: str) -> str:
    """A line as people read it: of a record its time, level, message and fields, then its traceback."""
    record = parsed(line)
    if record is None:
        return line
    fields = [f"{name}={value}" for name, value in record.items() if name not in _SHOWN]
    head = [record.get("timestamp", ""), f"[{record.get('level', '')}]", record["event"], *fields]
    said = one_line(" ".join(map(str, head)))
    return f"{said}\n{record['exception']}" if record.get("exception") else said
