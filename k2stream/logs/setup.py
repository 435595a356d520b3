"""Sends all log records of a process to standard error, in one format."""

from __future__ import annotations

import logging
import logging.config
import os
import sys
import threading
from functools import partial
from typing import Any

from k2stream.logs import LogFormat
from k2stream.logs.formats import LogFormatter

QUIET = ("httpx", "httpcore", "schema_registry")
"""Libraries that log a line per request: seen from warnings on, and at level debug."""

TELLING = ("aiokafka.conn",)
"""Libraries that log passwords at level debug, which they are never at."""

logger = logging.getLogger(__name__)


def configuration(how: LogFormat, level: str, **context: object) -> dict[str, Any]:
    """What `logging.config` makes of the format and the level; every JSON record says the context."""
    quiet = {} if level == "debug" else {name: {"level": "WARNING"} for name in QUIET}
    quiet |= {name: {"level": "INFO"} for name in TELLING}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"k2": {"()": partial(_formatter, how, context)}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "k2", "stream": "ext://sys.stderr"}
        },
        "loggers": quiet,
        "root": {"level": level.upper(), "handlers": ["stderr"]},
    }


def set_up(how: LogFormat, level: str, **context: object) -> None:
    """Log so from now on, also what nothing else handles."""
    logging.config.dictConfig(configuration(how, level, **context))
    capture()


def handles(root: logging.Logger) -> bool:
    """Whether the root logger writes in a format of this package."""
    return any(isinstance(handler.formatter, LogFormatter) for handler in root.handlers)


def is_json(how: LogFormat) -> bool:
    """Whether records become JSON on the standard error of this process."""
    return how == "json" or (how == "auto" and not sys.stderr.isatty())


def capture() -> None:
    """Log warnings, and the exceptions that threads and destructors leave, as any other record."""
    logging.captureWarnings(True)
    threading.excepthook = _of_thread
    sys.unraisablehook = _unraisable


def _formatter(how: LogFormat, context: dict[str, object]) -> LogFormatter:
    colors = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return LogFormatter(context, as_json=is_json(how), colors=colors)


def _of_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_type is SystemExit:
        return
    name = found.thread.name if found.thread else "unknown"
    trace = found.exc_value and (found.exc_type, found.exc_value, found.exc_traceback)
    logger.critical("thread %s ended by an exception", name, exc_info=trace)


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    trace = found.exc_value and (found.exc_type, found.exc_value, found.exc_traceback)
    logger.error("%s: %r", found.err_msg or "exception ignored in", found.object, exc_info=trace)
