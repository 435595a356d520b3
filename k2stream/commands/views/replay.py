"""Shows the progress of a replay on a terminal."""

from __future__ import annotations

import sys
import time

import click

_TERMINAL_SECONDS, _LOG_SECONDS = 0.2, 5.0


class Meter:
    """Prints records, percent and records/s: in place on a terminal, else one line every few seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        due = now - self._said >= (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS)
        if due or done >= total:
            self._said = now
            rate = done / max(now - self._began, 1e-3)
            text = f"{done:,} of {total:,} raw records, {100 * done // max(total, 1)} %, {rate:,.0f}/s"
            end = done >= total or not self._terminal
            click.echo(f"\r{text}  " if self._terminal else text, nl=end, err=True)
