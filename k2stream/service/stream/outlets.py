"""Where messages go: frames of a WebSocket, written to its transport, or a buffer that a response empties."""

from __future__ import annotations

import asyncio
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from k2stream.model.errors import Unavailable

HIGH = 64 * 1024
"""Bytes that wait in a buffer before its client is considered behind."""

ABORT_SECONDS = 5.0
"""How long a client that was told to go has to take what was sent to it."""


class Gone(Unavailable):
    """The client is not there any more."""


class OutletSocket(Protocol):
    """A connection of the server (sockets.py)."""

    outlet: Outlet | None

    def write(self, data: bytes) -> None:
        """Write to the transport."""

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, and end the connection in a while whether it is answered or not."""


class Outlet(ABC):
    """Takes messages without waiting; `paused` says that the client has not taken what was sent before.

    `blocked_since` says since when, by the monotonic clock; `on_resume` is called when it takes more.
    """

    def __init__(self) -> None:
        self.paused = self.gone = False
        self.blocked_since: float | None = None
        self.on_resume: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()
        self._changed.set()

    def takes_more(self) -> bool:
        """Whether the client has taken what it was sent."""
        return not self.paused

    @abstractmethod
    def write(self, payload: bytes) -> None:
        """Send a message."""

    @abstractmethod
    def end(self, payload: bytes, code: int, reason: str) -> None:
        """Send the last message and close; what the client does not take in time is dropped."""

    def pause(self) -> None:
        """The client does not take more."""
        if not self.paused:
            self.paused, self.blocked_since = True, time.monotonic()
            self._changed.clear()

    def resume(self) -> None:
        """The client takes more."""
        self.paused, self.blocked_since = False, None
        self._changed.set()
        self.on_resume()

    def lost(self) -> None:
        """The client is gone."""
        self.gone = self.paused = True
        self._changed.set()

    async def drained(self) -> None:
        """Return when the client takes more. Raises Gone."""
        await self._changed.wait()
        if self.gone:
            raise Gone


class FrameOutlet(Outlet):
    """Text frames, each encoded once and written to the transport of a WebSocket."""

    def __init__(self, socket: OutletSocket) -> None:
        super().__init__()
        self._socket = socket
        socket.outlet = self

    def write(self, payload: bytes) -> None:
        """Send a message."""
        if not self.gone:
            self._socket.write(frame(payload))

    def end(self, payload: bytes, code: int, reason: str) -> None:
        """Send the last message and close; what the client does not take in time is dropped."""
        if not self.gone:
            self.write(payload)
            self._socket.close(code, reason)
            self.lost()


class BufferedOutlet(Outlet):
    """A buffer of messages, which `messages` empties."""

    def __init__(self, abort: Callable[[], None]) -> None:
        super().__init__()
        self._abort = abort
        self._buffer: list[bytes] = []
        self._size = 0
        self._filled = asyncio.Event()
        self._ended = False
        self._aborting: asyncio.TimerHandle | None = None

    def write(self, payload: bytes) -> None:
        """Send a message."""
        self._buffer.append(payload)
        self._size += len(payload)
        self._filled.set()
        if self._size > HIGH:
            self.pause()

    def end(self, payload: bytes, code: int, reason: str) -> None:
        """Send the last message and close."""
        self.write(payload)
        self._ended = True
        self.lost()
        self._aborting = asyncio.get_running_loop().call_later(ABORT_SECONDS, self._abort)

    async def messages(self) -> AsyncIterator[list[bytes]]:
        """The messages, as they come; the consumer has sent them when it asks for the next."""
        while not self._ended or self._buffer:
            await self._filled.wait()
            self._filled.clear()
            taken, self._buffer, self._size = self._buffer, [], 0
            yield taken
            if self.paused and not self.gone:
                self.resume()
        if self._aborting is not None:
            self._aborting.cancel()


def frame(payload: bytes) -> bytes:
    """A text frame as a server sends it (RFC 6455)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return struct.pack(">BBH", 0x81, 126, size) + payload
    return struct.pack(">BBQ", 0x81, 127, size) + payload
