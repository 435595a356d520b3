"""The process of the embedded ClickHouse engine; what it runs is k2stream/embedded/clickhouse."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from k2stream.embedded.process import Child

_READY_WITHIN = 60.0  # seconds; opening the engine takes about 1
_NICENESS = 5  # its merges can wait for the candles
_READY = b"ready"  # the line it prints when it serves


@dataclass(frozen=True)
class ClickHouseServer:
    """One engine on one folder."""

    folder: Path
    port: int  # native protocol
    http_port: int
    log: Path

    name = "clickhouse"

    async def start(self) -> Child:
        """Start and wait until it serves. Raises StackError with its log's tail."""
        command = (
            sys.executable,
            "-m",
            "k2stream.embedded.clickhouse",
            self.folder,
            self.port,
            self.http_port,
        )
        child = await Child.spawn(self.name, [str(part) for part in command], self.log, niceness=_NICENESS)
        await child.until_ready(self._serves, _READY_WITHIN)
        return child

    async def _serves(self) -> bool:
        return _READY in self.log.read_bytes().splitlines()
