"""TCP in front of ClickHouse that knows when an insert has been done and not yet answered."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import suppress

from k2stream.embedded.ports import HOST

_INSERT = re.compile(rb"INSERT INTO \w+\.(\w+)")


class Relay:
    """Relays to a port of this machine; `on_answer(table)` may take the answer of an insert away.

    The protocol goes by turns: the client sends the statement, the server describes the columns, the client
    sends the rows, and what the server says then is the answer.
    """

    def __init__(self, port):
        self.closed = False  # refuses connections while it is
        self.on_answer = None  # async (table) -> whether the answer is lost
        self.answers = Counter()
        self._port = port
        self._open = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._open):
            task.cancel()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._open.add(task)
        try:
            if not self.closed:
                await self._relay(reader, writer)
        except OSError:
            pass  # the server is away, or someone left
        finally:
            self._open.discard(task)
            writer.close()

    async def _relay(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection(HOST, self._port)
        insert = _Insert()
        ways = (
            asyncio.create_task(self._upward(reader, up_writer, insert)),
            asyncio.create_task(self._downward(up_reader, writer, insert)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
                with suppress(OSError, asyncio.CancelledError):
                    await way
            up_writer.close()

    async def _upward(self, reader, writer, insert):
        while chunk := await reader.read(1 << 16):
            if found := _INSERT.search(chunk):
                insert.table, insert.step = found[1].decode(), "asked"
            elif insert.step == "described":
                insert.step = "sent"
            writer.write(chunk)
            await writer.drain()

    async def _downward(self, reader, writer, insert):
        while chunk := await reader.read(1 << 16):
            if insert.step == "asked":
                insert.step = "described"
            elif insert.step == "sent":
                insert.step = ""
                self.answers[insert.table] += 1
                if self.on_answer and await self.on_answer(insert.table):
                    return
            writer.write(chunk)
            await writer.drain()


class _Insert:
    """Where a connection's insert is."""

    table = step = ""
