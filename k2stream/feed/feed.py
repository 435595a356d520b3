"""The feed of one exchange: a socket that is always reopened, and a publisher that never skips."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence

from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException
from websockets.frames import CloseCode
from websockets.uri import parse_uri

from k2stream import clock
from k2stream.errors import ConfigError
from k2stream.events import EventKind
from k2stream.exchanges.spec import Exchange, Reject
from k2stream.feed.backoff import Backoff
from k2stream.feed.batch import Batcher, Link
from k2stream.feed.publisher import Publisher
from k2stream.feed.socket import Socket, open_socket
from k2stream.feed.status import Status
from k2stream.instruments import Instrument
from k2stream.settings import Settings

log = logging.getLogger(__name__)

STABLE_SECONDS = 60.0  # a connection that held so long starts the backoff over
SUBSCRIBE_SPACING_SECONDS = 0.25  # Binance takes 5 messages a second
ANSWER_SECONDS = 10.0  # an exchange that has not answered its subscriptions by then sends no trades either
# Between publishes: each costs the same for one record as for a hundred, here, in the broker and behind it.
PUBLISH_SECONDS, BUSY_PUBLISH_SECONDS = 0.01, 0.05
BUSY_TRADES = 20  # in the last publish
BATCH_FRAMES = 1000
BATCH_BYTES = 500_000
PENDING_BYTES = 32 * 1024 * 1024  # held while Kafka is away; then the socket is left unread
FRAME_OVERHEAD = 150  # bytes of Python objects around a pending frame


class Feed:
    """Receives an exchange's trades and publishes them as raw records, forever.

    A batch is whatever has arrived since the last one was published, PUBLISH_SECONDS ago or more: at a low
    rate each frame goes out at once, at a high rate many go out together, and nothing is ever in flight
    behind a failed publish.
    """

    def __init__(
        self,
        exchange: Exchange,
        instruments: Sequence[Instrument],
        publisher: Publisher,
        settings: Settings,
        *,
        now_us: Callable[[], int] = clock.now_us,
        pending_bytes: int = PENDING_BYTES,
    ) -> None:
        """Raises ConfigError when there is nothing to subscribe to, or the URL is no WebSocket URL."""
        self._exchange = exchange
        self._publisher = publisher
        self._settings = settings
        self._now_us = now_us
        self._url = _checked_url(exchange.name, settings)
        if not instruments:
            raise ConfigError(f"{settings.instruments_file}: no {exchange.name} symbols; add at least one")
        self._subscriptions = exchange.subscribe(instruments)
        self._answers = exchange.answers(instruments)
        self._silence = settings.silence_seconds or exchange.silence_seconds
        self._batcher = Batcher(exchange, settings, now_us)
        self.status = Status(exchange.name, simulated=settings.simulated)
        self._link: Link | None = None
        self._pending: deque[tuple[Link, int, bytes]] = deque()
        self._pending_size = 0
        self._pending_limit = pending_bytes
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._durable = asyncio.Event()
        self._received = self._published = 0  # frames
        self.up_until = 0
        """When the feed was last known to be up, µs; set it before `run` to go on from another process."""
        self._receiving: asyncio.Task[None] | None = None
        self._finished = asyncio.Event()

    async def run(self) -> None:
        """Feed until `stop`. Raises what the publisher raises: the worker must restart, not skip."""
        reporting = asyncio.create_task(self._report_forever())
        receiving = self._receiving = asyncio.create_task(self._receive_forever())
        receiving.add_done_callback(lambda _: self._work.set())
        try:
            await self._publish_until_done(receiving)
        finally:
            for task in (reporting, receiving):
                task.cancel()
            await asyncio.gather(reporting, receiving, return_exceptions=True)
            self._finished.set()
        if not receiving.cancelled():
            receiving.result()

    async def stop(self) -> None:
        """Close the socket and wait until what has been received is published."""
        if self._receiving:
            self._receiving.cancel()
            await self._finished.wait()

    async def settled(self) -> None:
        """Return once everything received by now is durable."""
        received = self._received
        while self._published < received:
            self._durable.clear()
            await self._durable.wait()

    async def _receive_forever(self) -> None:
        backoff = Backoff(self._settings.reconnect_base_seconds, self._settings.reconnect_cap_seconds)
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            expected = await self._connection()
            if loop.time() - started >= STABLE_SECONDS:
                backoff.reset()
            delay = 0.0 if expected else backoff.next()
            log.info("%s: connecting again in %.1f s", self._exchange.name, delay)
            await asyncio.sleep(delay)

    async def _connection(self) -> bool:
        """One connection from open to close; True when the exchange closed it as it always does."""
        name = self._exchange.name
        try:
            socket = await open_socket(self._url, self._settings.max_frame_bytes)
        except (OSError, WebSocketException) as error:
            log.warning("%s: no connection to %s: %s", name, self._url, _text(error))
            return False
        link = self._link = Link(f"{name}-{secrets.token_hex(4)}", self.up_until, self._answers)
        opened = asyncio.get_running_loop().time()
        try:
            await self._receive(socket, link)
        except ConnectionClosed as error:
            expected = self._exchange.expected_close(asyncio.get_running_loop().time() - opened)
            self._closed(socket, link, error, expected=expected)
        finally:
            self._link = None
            self.status.set_connected(False)
            await socket.close()
        self.status.reconnecting()
        return expected

    async def _receive(self, socket: Socket, link: Link) -> None:
        """Subscribe, and queue each frame with its receive time; raises ConnectionClosed."""
        socket.watch(self._silence)
        subscribing = asyncio.create_task(self._subscribe(socket, link))
        try:
            while True:
                data = await socket.recv(decode=False)
                received_us = self._now_us()
                if self.status.connected:  # what comes before the answers brings no trades
                    self.up_until = received_us
                self._received += 1
                self._pending.append((link, received_us, data))
                self._pending_size += len(data) + FRAME_OVERHEAD
                self._work.set()
                if self._pending_size > self._pending_limit:
                    log.warning("%s: Kafka is behind, the socket is left unread", self._exchange.name)
                    self._room.clear()
                    await self._room.wait()
        finally:
            subscribing.cancel()

    async def _subscribe(self, socket: Socket, link: Link) -> None:
        with contextlib.suppress(ConnectionClosed):  # the receiving side tells why
            for position, frame in enumerate(self._subscriptions):
                if position:
                    await asyncio.sleep(SUBSCRIBE_SPACING_SECONDS)
                await socket.send(frame)
            await asyncio.sleep(ANSWER_SECONDS)
            await self._room.wait()  # we may be behind, and the answers among what waits
            if link.unanswered:
                socket.transport.abort()

    def _subscribed(self, link: Link, received_us: int) -> None:
        log.info("%s: connected to %s as %s", self._exchange.name, self._url, link.name)
        self.status.set_connected(True)
        self.up_until = received_us
        self._batcher.event(EventKind.CONNECTED, link, since=link.since)

    def _closed(self, socket: Socket, link: Link, error: ConnectionClosed, *, expected: bool) -> None:
        name = self._exchange.name
        if socket.silent:
            detail = f"nothing heard for {self._silence:g} s"
            self._event(EventKind.SILENCE, link, detail)
        elif link.unanswered:
            detail = f"{link.unanswered} subscriptions without an answer: {_text(error)}"
        elif expected:
            detail = f"closed by the exchange as expected: {_text(error)}"
        else:
            detail = _text(error)
        if error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG and not error.rcvd_then_sent:
            limit = self._settings.max_frame_bytes
            cause = f"frame larger than K2_MAX_FRAME_BYTES={limit}, not received: {error.sent.reason}"
            self._batcher.reject(link, Reject(cause, b""))
        self._event(EventKind.DISCONNECTED, link, detail)
        log.log(logging.INFO if expected else logging.WARNING, "%s: %s: %s", name, link.name, detail)

    def _event(self, kind: EventKind, link: Link, detail: str = "") -> None:
        self._batcher.event(kind, link, detail)
        self._work.set()

    async def _publish_until_done(self, receiving: asyncio.Task[None]) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._work.wait()
            self._work.clear()
            self._parse_pending()
            while batch := self._batcher.take():
                began = clock()
                if batch.columns:
                    await self._publisher.publish(batch.columns)
                self.status.published(batch)
                self._published += batch.frames.total()
                self._durable.set()
                if not receiving.done() and self._pending_size < BATCH_BYTES:
                    pause = PUBLISH_SECONDS if batch.trades < BUSY_TRADES else BUSY_PUBLISH_SECONDS
                    await asyncio.sleep(began + pause - clock())
                self._parse_pending()
            if receiving.done():
                return

    def _parse_pending(self) -> None:
        """Parse what has arrived, up to a bound that keeps the event loop free for a few ms at most."""
        frames = size = 0
        while self._pending and frames < BATCH_FRAMES and size < BATCH_BYTES:
            link, received_us, data = self._pending.popleft()
            self._batcher.add(link, received_us, data)
            if link is self._link and not link.unanswered and not self.status.connected:
                self._subscribed(link, received_us)
            frames += 1
            size += len(data)
        self._pending_size -= size + frames * FRAME_OVERHEAD
        if self._pending_size <= self._pending_limit // 2:
            self._room.set()

    async def _report_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.metrics_line_seconds)
            log.info("%s", self.status.line())


def _checked_url(exchange: str, settings: Settings) -> str:
    url = settings.ws_url(exchange)
    try:
        parse_uri(url)
    except InvalidURI:
        raise ConfigError(f"K2_{exchange.upper()}_WS_URL={url!r} is not a ws:// or wss:// URL") from None
    return url


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
