"""An exchange's socket: a websockets client that knows when it last heard anything."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect

CLOSE_SECONDS = 1.0
QUEUE_FRAMES = 1024


class Socket(ClientConnection):
    """`last_heard` is the loop time of the last bytes; the exchange's pings count, as heartbeats.

    `silent` tells that the watchdog ended the connection.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last_heard = self.loop.time()
        self.silent = False
        self._watchdog: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Note the time, then do what websockets does."""
        self.last_heard = self.loop.time()
        super().data_received(data)

    def watch(self, seconds: float) -> None:
        """Abort the connection when nothing is heard for so long."""
        if self.recv_messages.paused:  # unread data waits: we are slow, the exchange is not silent
            self.last_heard = self.loop.time()
        idle = self.loop.time() - self.last_heard
        if idle >= seconds:
            self.silent = True
            self.transport.abort()
        else:
            self._watchdog = self.loop.call_later(seconds - idle, self.watch, seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching, then do what websockets does."""
        if self._watchdog:
            self._watchdog.cancel()
        super().connection_lost(exc)


async def open_socket(url: str, max_frame_bytes: int) -> Socket:
    """Connect to an exchange, TLS by its URL. Raises OSError or WebSocketException when it cannot.

    No compression: its latency and memory cost more than the bytes. No pings of ours: silence is watched, and
    an answer could not be read while Kafka holds the feed up.
    """
    socket = await connect(
        url,
        max_size=max_frame_bytes,
        max_queue=QUEUE_FRAMES,
        compression=None,
        ping_interval=None,
        close_timeout=CLOSE_SECONDS,
        create_connection=Socket,
    )
    return cast(Socket, socket)
