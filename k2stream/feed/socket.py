"""An exchange's socket: a websockets client that records when its messages arrived."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame

from k2stream.feed.arrival import Arrival
from k2stream.model import clock

CLOSE_SECONDS = 1.0
QUEUE_FRAMES = 1024
PONG_SECONDS = 20.0
QUIET_SHARE = 5  # divisor of the silence limit: a longer pause is ours, since heartbeats arrive every second


class Socket(ClientConnection):
    """A client that tracks `up_until` (µs): everything that the exchange sent until then has arrived.

    `up_until` does not advance while the socket is not read. Data found in the buffers afterwards may be old,
    and the connection may have ended behind it. Only the response to a ping, which arrives after that data,
    proves that the connection was still up. `last_heard` is the loop time of the last received bytes, pings
    and heartbeats included. `silent` is True if the watchdog ended the connection.
    """

    def __init__(self, *args: Any, now_us: Callable[[], int] = clock.now_us, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last_heard = self.loop.time()
        self.silent = False
        self.arrivals: deque[Arrival] = deque()
        """Arrivals of the messages that `recv` has not returned yet."""

        self._now_us = now_us
        self.up_until = self._heard = now_us()
        self._quiet = float("inf")  # seconds
        self._unread = False  # reading has been paused since the last bytes
        self._stood = False  # reading was paused again since the last ping
        self._asking: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def behind(self) -> bool:
        """Whether data of the exchange may still be unread because reading was paused."""
        return self._unread or self.recv_messages.paused or self._asking is not None

    def data_received(self, data: bytes) -> None:
        """Record the time, then process the data as websockets does."""
        now, heard = self._now_us(), self.loop.time()
        if self._unread or heard - self.last_heard > self._quiet:
            self._stood = True
            if self._asking is None:
                self._asking = self.loop.create_task(self._ask())
        elif self._asking is None:
            self.up_until = now
        self._heard = now
        self.last_heard = heard
        super().data_received(data)
        self._unread = self.recv_messages.paused

    def process_event(self, event: Any) -> None:
        """Process the event as websockets does, and record the arrival of a complete message."""
        super().process_event(event)
        if isinstance(event, Frame) and event.fin and event.opcode in DATA_OPCODES:
            self.arrivals.append(Arrival(self._heard, self.up_until if self._asking else 0))

    def watch(self, seconds: float) -> None:
        """Abort the connection when nothing is received for `seconds`."""
        self._quiet = seconds / QUIET_SHARE
        if self.recv_messages.paused:  # there is unread data: we are slow, the exchange is not silent
            self.last_heard = self.loop.time()
        idle = self.loop.time() - self.last_heard
        if idle >= seconds:
            self.silent = True
            self.transport.abort()
        else:
            self._watchdog = self.loop.call_later(seconds - idle, self.watch, seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the watchdog, then proceed as websockets does."""
        if self._watchdog:
            self._watchdog.cancel()
        if self._asking:
            self._asking.cancel()
        super().connection_lost(exc)

    async def _ask(self) -> None:
        """Ping until reading was not paused between ping and pong: data that follows has just been sent."""
        with contextlib.suppress(ConnectionClosed):
            while self._stood:
                self._stood, asked = False, self._now_us()
                with contextlib.suppress(TimeoutError):  # by then the buffers had time to drain
                    await asyncio.wait_for(await self.ping(), PONG_SECONDS)
                self.up_until = asked
            self._asking = None


async def open_socket(url: str, max_frame_bytes: int, now_us: Callable[[], int]) -> Socket:
    """Connect to an exchange, with TLS if the URL says so. Raises OSError or WebSocketException.

    Compression is off: its latency and memory cost more than the bytes. Periodic pings are off: the watchdog
    detects silence, and a pong could not be read while Kafka blocks the feed.
    """
    socket = await connect(
        url,
        max_size=max_frame_bytes,
        max_queue=QUEUE_FRAMES,
        compression=None,
        ping_interval=None,
        close_timeout=CLOSE_SECONDS,
        create_connection=cast(type[Socket], partial(Socket, now_us=now_us)),
    )
    return cast(Socket, socket)
