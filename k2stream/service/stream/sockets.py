"""The server's connections, which hand themselves to the application, and end if nobody reads."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from k2stream.service.stream.outlets import ABORT_SECONDS, Outlet

EXTENSION = "k2.socket"
"""The name of the connection among the extensions of an ASGI scope."""


TAKES_SECONDS = 30.0
"""How long a client may take nothing of what waits for it, before its connection is ended."""


class Impatient(asyncio.Protocol):
    """Ends the connection of a client that does not read: what waits for it would stay for good."""

    loop: asyncio.AbstractEventLoop
    transport: Any
    _waiting = 0
    _looking: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The transport is full."""
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        """The transport has room."""
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._look_no_more()
        super().connection_lost(exc)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() >= self._waiting:
            self.transport.abort()
        else:
            self._look_again()

    def _look_again(self) -> None:
        self._waiting = self.transport.get_write_buffer_size()
        self._looking = self.loop.call_later(TAKES_SECONDS, self._look)

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None


class StreamSocket(Impatient, WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket, which hands itself to the application and says when its transport is full."""

    outlet: Outlet | None = None

    async def run_asgi(self) -> None:
        """Run the application with this socket in its scope."""
        extensions: Any = self.scope["extensions"]
        extensions[EXTENSION] = self
        await super().run_asgi()

    def pause_writing(self) -> None:
        """The transport is full."""
        super().pause_writing()
        if self.outlet is not None:
            self.outlet.pause()

    def resume_writing(self) -> None:
        """The transport has room."""
        super().resume_writing()
        if self.outlet is not None:
            self.outlet.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        if self.outlet is not None:
            self.outlet.lost()

    def write(self, data: bytes) -> None:
        """Write to the transport."""
        self.transport.write(data)

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, and end the connection in a while whether it is answered or not."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_timer = self.loop.call_later(ABORT_SECONDS, self.transport.abort)
