"""Faust's worker, whose exit code tells a supervisor whether starting it again can help."""

from __future__ import annotations

import sys
from typing import NoReturn

import faust

from k2stream.errors import refusal


class Worker(faust.Worker):
    """Exits with 78, and one line, when state was refused; Faust's exit code for any failure is 1."""

    def execute_from_commandline(self) -> NoReturn:
        """Run until stopped; Faust leaves the failure behind as what the exit came amid."""
        try:
            super().execute_from_commandline()
        except SystemExit as end:
            refused = refusal(end)
            if refused is None:
                raise
            print(f"Error: {refused.message}", file=sys.__stderr__, flush=True)
            raise SystemExit(refused.exit_code) from None
