"""What a log record says, as a dictionary of JSON values. Nothing here raises, whatever was logged."""

from __future__ import annotations

import logging
import operator
import re
import reprlib
from collections.abc import Callable, Mapping
from copy import copy
from datetime import UTC, datetime
from typing import Any

FIELDS = ("exchange", "symbol", "timeframe", "table", "topic", "partition", "offset")
"""What a message may concern: the keys of `extra` that become fields."""

_LARGEST = 20
"""Items of a collection that a message shows."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def described(record: logging.LogRecord, context: Mapping[str, object]) -> dict[str, Any]:
    """Time (UTC), level, logger and message of a record, the process's context, and what it concerns."""
    time = datetime.fromtimestamp(record.created, UTC)
    found = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    values = {
        "timestamp": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage().rstrip(),
        **context,
        **found,
    }
    return {name: value_of(value) for name, value in values.items()}


def formattable(record: logging.LogRecord) -> logging.LogRecord:
    """A copy of a record, whose message is text: with its arguments in it, also if they do not fit it."""
    made = copy(record)
    try:
        made.args = _arguments(record.args)
        made.msg = made.getMessage()
    except Exception:
        made.msg = f"{_shown(record.msg)} {_shown(record.args)}"
    made.args = None
    return made


def value_of(value: object) -> str | int | bool | None:
    """A value as JSON has it: integers of any kind as such, all else as text that is valid in UTF-8."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _valid(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return _valid(_shown(value, str))


def one_line(text: str) -> str:
    """A text with its control characters escaped: no line ends, and no terminal obeys it."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _valid(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _shown(value: object, how: Callable[[object], str] = repr) -> str:
    try:
        return how(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _arguments(args: Any) -> Any:
    if isinstance(args, Mapping):
        return {name: _argument(value) for name, value in args.items()}
    return tuple(map(_argument, args)) if args else args


def _argument(value: Any) -> Any:
    """A set of names or of partitions as a list in order; libraries log those that they subscribe to."""
    if isinstance(value, set | frozenset):
        names = sorted(_partition(item) for item in value)
        more = len(names) - _LARGEST
        return ", ".join(names[:_LARGEST]) + (f" and {more} more" if more > 0 else "")
    return value


def _partition(item: Any) -> str:
    if hasattr(item, "topic") and hasattr(item, "partition"):
        return f"{item.topic}[{item.partition}]"
    return item if isinstance(item, str) else reprlib.repr(item)
