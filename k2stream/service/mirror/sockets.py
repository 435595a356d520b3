"""`/ws` and `/stream` of one exchange at the root, and of each exchange under its name."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from litestar import WebSocket, websocket
from litestar.handlers import WebsocketRouteHandler
from litestar.params import FromPath

from k2stream.service.mirror import names
from k2stream.service.mirror.broadcast import Broadcast
from k2stream.service.mirror.errors import MirrorError
from k2stream.service.mirror.names import StreamName
from k2stream.service.mirror.root import ROOT
from k2stream.service.mirror.session import Session
from k2stream.service.parameters import From
from k2stream.topics import EXCHANGES

MOST_WAITING = 2_000
"""Messages that wait for a client, before it is considered too slow and dropped."""

POLICY = 1008
_PATHS = ("/ws", "/ws/{path:path}", "/stream")


class StreamConnection:
    """What waits to be sent to one client."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)

    def put(self, name: str, payload: bytes) -> None:
        """Queue a message of a stream; a client that is too slow is sent nothing more."""
        if self._session.combined:
            payload = b'{"stream":"%b","data":%b}' % (name.encode(), payload)
        self.send(payload)

    def send(self, payload: bytes | None) -> None:
        """Queue a message; None, or one too many, ends the connection."""
        try:
            self.waiting.put_nowait(payload)
        except asyncio.QueueFull:
            while not self.waiting.empty():
                self.waiting.get_nowait()
            self.waiting.put_nowait(None)


def handler(broadcast: Broadcast) -> WebsocketRouteHandler:
    """The handler of all connections."""

    @websocket([*_PATHS, *(f"/{{exchange:str}}{path}" for path in _PATHS)])
    async def mirror_stream(
        socket: WebSocket[Any, Any, Any],
        sources: From,
        exchange: FromPath[str] = ROOT,
        path: FromPath[str] = "",
    ) -> None:
        combined = socket.url.path.endswith("/stream")
        session = Session(lambda name: names.parse(name, sources.instruments, exchange), combined)
        asked = socket.query_params.get("streams", "") if combined else path.strip("/")
        try:
            if exchange not in EXCHANGES:
                raise MirrorError(2, f"there is no exchange {exchange} here")
            session.open(asked.split("/"))
        except MirrorError as error:
            await socket.close(POLICY, str(error)[:120])
            return
        await socket.accept()
        connection = StreamConnection(session)
        sending = asyncio.create_task(_send(socket, connection))
        known = _known(session)
        broadcast.update(connection, {}, known)
        try:
            receive: Any = socket.receive
            while (message := await receive())["type"] != "websocket.disconnect":
                if session.too_fast(time.monotonic()):
                    connection.send(None)
                    break
                connection.send(session.answer(message.get("text") or message.get("bytes") or b""))
                before, known = known, _known(session)
                broadcast.update(connection, before, known)
            else:
                sending.cancel()
            await asyncio.wait({sending})
        finally:
            broadcast.update(connection, known, {})
            sending.cancel()

    return mirror_stream


async def _send(socket: WebSocket[Any, Any, Any], connection: StreamConnection) -> None:
    while (payload := await connection.waiting.get()) is not None:
        await socket.send_data(payload.decode(), mode="text")
    await socket.close(POLICY, "too slow, or too many messages")


def _known(session: Session) -> dict[str, StreamName]:
    return {name: stream for name, stream in session.streams.items() if stream is not None}
