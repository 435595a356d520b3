"""Starts the embedded ClickHouse engine (k2stream/embedded/clickhouse) as a child process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from k2stream.embedded.guard import StackGuard
from k2stream.embedded.process import Child

_READY_WITHIN = 180.0  # seconds; opening the engine takes about 1
_NICENESS = 5  # candles take precedence over merges
_READY = b"ready"  # the line that it prints once it accepts clients


@dataclass(frozen=True)
class ClickHouseServer:
    """One ClickHouse server on one folder."""

    folder: Path
    port: int  # native protocol
    http_port: int
    log: Path
    guard: StackGuard | None = None

    name = "clickhouse"

    async def start(self) -> Child:
        """Start it and wait until it is ready. Raises StackError with the tail of its log."""
        command = (
            sys.executable,
            "-m",
            "k2stream.embedded.clickhouse",
            self.folder,
            self.port,
            self.http_port,
            *((self.guard.folder,) if self.guard else ()),
        )
        child = await Child.spawn(
            self.name, list(map(str, command)), self.log, niceness=_NICENESS, output=self._answers
        )
        await child.until_ready(self._serves, _READY_WITHIN)
        return child

    async def _serves(self) -> bool:
        return _READY in self._answers.read_bytes().splitlines()

    @property
    def _answers(self) -> Path:
        return self.log.with_suffix(".out")
