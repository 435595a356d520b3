"""A Faust worker that ends within seconds in every phase, with the cause as its last line of output.

Faust waits for everything it has started: a preparation that keeps retrying, a thread that hangs in a
connection, a service left over from an incomplete start. That wait is unnecessary here, because records that
are not acknowledged are read again. The exit code says whether a restart can help.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any, NoReturn

import faust

from k2stream.logs.setup import capture, handles
from k2stream.model.errors import K2Error, StateRefused, refusal

STOP_SECONDS = 15.0
"""Limit for an orderly stop, in which work in progress is finished and committed."""

FAIL_SECONDS = 8.0
"""Limit for the end of a failed worker, which acknowledges nothing any more."""

_LOOK_SECONDS = 0.2

logger = logging.getLogger(__name__)


class BatchWorker(faust.Worker):
    """A worker that exits with 78 when it refused its state, and with 1 after any other failure."""

    _ends_at: float | None = None  # monotonic
    _failure: BaseException | None = None
    _leaving = threading.Lock()  # never released

    def execute_from_commandline(self) -> NoReturn:
        """Run until stopped; Faust leaves a failure as the context of the SystemExit that it raises."""
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()
        try:
            super().execute_from_commandline()
        except SystemExit as end:
            self._leave(end)

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Log as the app's configuration says, from the level of the command line on.

        Faust would draw a spinner on standard output below level info, which is no log record.
        """
        if not handles(logger):
            super().on_setup_root_logger(logger, level)
            return
        self.spinner = None
        logger.setLevel(level)
        capture()

    def on_worker_shutdown(self) -> None:
        """Set the deadline for the end; after a failed start the current exception is the cause."""
        self._failure = sys.exc_info()[1]
        self._end_within(STOP_SECONDS if self._signal_stop_time else FAIL_SECONDS)
        super().on_worker_shutdown()

    def on_refused(self, refused: StateRefused) -> None:
        """Called before a worker with refused state exits; it may take its time."""

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        if not getattr(self.app, "prepared", True):
            self.log.info("Signal received: %s while starting: nothing was begun", signal)
            _exit(0)
        self._end_within(STOP_SECONDS)
        super()._schedule_shutdown(signal)

    def _end_within(self, seconds: float) -> None:
        self._ends_at = self._ends_at or time.monotonic() + seconds

    def _watch(self) -> None:
        """Enforce the deadline, in its own thread because the event loop may hang."""
        while self._ends_at is None or time.monotonic() < self._ends_at:
            if self._ends_at is None and (self.crashed or self.app.crashed):
                self._end_within(FAIL_SECONDS)
            time.sleep(_LOOK_SECONDS)
        self._leave(None, late=True)

    def _leave(self, end: SystemExit | None, *, late: bool = False) -> NoReturn:
        """Say why, and end the process; the first thread that comes here does, the other waits for it."""
        self._leaving.acquire()
        if late:  # before the cause, which is the last line
            self.log.error("the worker does not stop by itself; what was not acknowledged is read again")
        self._ends_at = math.inf  # a refusal is shown for longer than a failed worker may take
        crash = self.crash_reason or self.app.crash_reason or self._failure
        refused = refusal(end) or refusal(crash)
        if refused is not None:
            _say(str(refused))
            self.on_refused(refused)
            # Where the deadline came first, the main thread may have logged its end meanwhile.
            _exit(refused.exit_code, str(refused) if late else "")
        if end is not None and not end.code and crash is None:
            _exit(0)
        reason = crash or (end and end.__context__)
        if reason is None:
            _exit(1, f"not stopped within {STOP_SECONDS:g} s" if end is None else "")
        _exit(1, " ".join(str(reason).split()) or type(reason).__name__)


def report_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A `sys.excepthook` that prints a K2Error as one line and exits with its exit code.

    Another error is logged with its traceback first, once there is a log. Faust imports an app before it
    creates a worker, so errors of the import reach only this hook.
    """
    if isinstance(error, K2Error):
        _exit(error.exit_code, str(error))
    if not handles(logging.root):
        sys.__excepthook__(kind, error, trace)
        return
    logger.critical("uncaught exception", exc_info=(kind, error, trace))
    _exit(1, f"{kind.__name__}: {' '.join(str(error).split())}")


def _say(cause: str) -> None:
    print(f"Error: {cause}", file=sys.__stderr__, flush=True)


def _exit(code: int, cause: str = "") -> NoReturn:
    """End the process at once; the interpreter itself would wait for threads that hang."""
    if cause:
        _say(cause)
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    logging.shutdown()
    for stream in streams:
        if stream is not None:
            stream.flush()
    os._exit(code)
