"""How far a stage is: a count of records in a mapped file, written by the stage and read by the harness.

Standard library only: peers run in an environment of their own.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

_BYTES = 8


def create(path: Path) -> None:
    """Make an empty counter, over any old one."""
    path.write_bytes(bytes(_BYTES))


class Counter:
    """The counter at BENCH_PROGRESS, or at `path`; a 64-bit little-endian count."""

    def __init__(self, path: Path | None = None) -> None:
        with Path(path or os.environ["BENCH_PROGRESS"]).open("r+b") as file:
            self._cell = memoryview(mmap.mmap(file.fileno(), _BYTES)).cast("q")

    def add(self, records: int) -> None:
        """Count records as processed."""
        self._cell[0] += records

    @property
    def value(self) -> int:
        """Records processed so far."""
        return self._cell[0]

    @value.setter
    def value(self, records: int) -> None:
        self._cell[0] = records
