"""The two formats of log records."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import format_exc_info
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from k2stream.logs.records import described, formattable, one_line, value_of


class LogFormatter(ProcessorFormatter):
    """Formats the records of every logger, those of libraries too.

    As JSON, a record is one line of ASCII, with its traceback as `exception`. Otherwise its message is one
    line, in which control characters are escaped, and a traceback follows it.
    """

    def __init__(self, context: Mapping[str, object], *, as_json: bool, colors: bool = False) -> None:
        """`context` is what every record of the process says: its role, its worker, its exchange."""
        if as_json:
            described_so = partial(_described, {**context, "pid": os.getpid()})
            super().__init__(processors=[described_so, format_exc_info, _as_json])
        else:
            console = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback, pad_event_to=0)
            super().__init__(processors=[partial(_described, {}), _one_line, console])

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return super().format(formattable(record))


def _described(context: Mapping[str, object], _: Any, __: str, event: EventDict) -> EventDict:
    known = {name: event[name] for name in ("exc_info", "stack_info") if name in event}
    return {**described(event["_record"], context), **known}


def _as_json(_: Any, __: str, event: EventDict) -> str:
    return json.dumps({name: value_of(value) for name, value in event.items()})


def _one_line(_: Any, __: str, event: EventDict) -> EventDict:
    return {name: one_line(value) if isinstance(value, str) else value for name, value in event.items()}
