"""One connected client: its streams, its engine session, and whether its blocks are compressed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from k2stream.embedded.clickhouse import protocol
from k2stream.embedded.clickhouse.blocks import Block, Columns
from k2stream.embedded.clickhouse.engine import ServerEngine, Session, run
from k2stream.embedded.clickhouse.reader import BytesReader

T = TypeVar("T")


@dataclass(slots=True)
class ServerClient:
    reader: BytesReader
    writer: asyncio.StreamWriter
    engine: ServerEngine
    session: Session
    compressed: bool = False
    described: dict[str, tuple[int, Columns]] = field(default_factory=dict)
    """By DESCRIBE statement: the engine's `commands` when it was run, and the columns it returned."""

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        return await self.engine.call(function, *args)

    async def run(self, sql: str, format_: str = "Native") -> bytes:
        return await self.engine.call(run, self.session, sql, format_)

    async def read_data(self) -> Block:
        return await protocol.read_data(self.reader, self.compressed)

    async def send_data(self, raw: bytes) -> None:
        """Send a block of FORMAT Native."""
        self.writer.write(protocol.data(raw, self.compressed))
        await self.writer.drain()
