"""Faust's worker, made to end: within seconds in every phase, with the cause as its last line.

Faust waits for whatever it has started: a preparation that tries again and again, a thread that hangs in a
connection, a service that half a start has left behind. Nothing here needs that wait: what is not
acknowledged is read again. The exit code tells a supervisor whether starting it again can help.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any, NoReturn

import faust

from k2stream.model.errors import K2Error, refusal
from k2stream.standing import stand

STOP_SECONDS = 15.0
"""For a stop in order: work in hand is finished and committed."""

FAIL_SECONDS = 8.0
"""For the end of a worker that has failed: nothing is acknowledged any more."""

_LOOK_SECONDS = 0.2


class Worker(faust.Worker):
    """Exits with 78 when state was refused, with 1 after any other failure."""

    _ends_at: float | None = None  # monotonic
    _failure: BaseException | None = None

    def execute_from_commandline(self) -> NoReturn:
        """Run until stopped; Faust leaves the failure behind as what the exit came amid."""
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()
        try:
            super().execute_from_commandline()
        except SystemExit as end:
            self._leave(end)

    def on_worker_shutdown(self) -> None:
        """Stopped, failed, or did not start: then the failure is under way, and the stop may hang."""
        self._failure = sys.exc_info()[1]
        self._end_within(STOP_SECONDS if self._signal_stop_time else FAIL_SECONDS)
        super().on_worker_shutdown()

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        if not getattr(self.app, "prepared", True):
            self.log.info("Signal received: %s while starting: nothing was begun", signal)
            _exit(0)
        self._end_within(STOP_SECONDS)
        super()._schedule_shutdown(signal)

    def _end_within(self, seconds: float) -> None:
        self._ends_at = self._ends_at or time.monotonic() + seconds

    def _watch(self) -> None:
        """In a thread of its own: the event loop may be what hangs."""
        while self._ends_at is None or time.monotonic() < self._ends_at:
            if self._ends_at is None and (self.crashed or self.app.crashed):
                self._end_within(FAIL_SECONDS)
            time.sleep(_LOOK_SECONDS)
        self.log.error("the worker does not stop by itself; what was not acknowledged is read again")
        self._leave(None)

    def _leave(self, end: SystemExit | None) -> NoReturn:
        crash = self.crash_reason or self.app.crash_reason or self._failure
        refused = refusal(end) or refusal(crash)
        if refused is not None:
            _say(str(refused))
            stand(self.app, refused, getattr(self.app, "refused_seconds", 0.0))
            _exit(refused.exit_code)
        if end is not None and not end.code and crash is None:
            _exit(0)
        reason = crash or (end and end.__context__)
        if reason is None:
            _exit(1, f"not stopped within {STOP_SECONDS:g} s" if end is None else "")
        _exit(1, " ".join(str(reason).split()) or type(reason).__name__)


def report_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A `sys.excepthook`: a K2Error that ends the process is one line and its exit code.

    Faust imports an app before there is a worker, and leaves what that raises to the interpreter.
    """
    if isinstance(error, K2Error):
        _exit(error.exit_code, str(error))
    sys.__excepthook__(kind, error, trace)


def _say(cause: str) -> None:
    print(f"Error: {cause}", file=sys.__stderr__, flush=True)


def _exit(code: int, cause: str = "") -> NoReturn:
    """End the process now: threads that hang would keep the interpreter from it."""
    if cause:
        _say(cause)
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    logging.shutdown()
    for stream in streams:
        if stream is not None:
            stream.flush()
    os._exit(code)
