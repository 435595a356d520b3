"""The feed of one exchange: a socket that is always reopened, and publishing that never skips records."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException
from websockets.frames import CloseCode
from websockets.uri import parse_uri

from k2stream.backoff import Backoff
from k2stream.exchanges.spec import Exchange, Frame, Reject, Subscription
from k2stream.feed.arrival import Arrival
from k2stream.feed.asking import STABLE_SECONDS, Asker
from k2stream.feed.batch import Batcher, Connection
from k2stream.feed.publisher import Publisher
from k2stream.feed.socket import Socket, open_socket
from k2stream.feed.status import Status
from k2stream.feed.subscriptions import Subscriptions
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.events import EventKind
from k2stream.model.instrument import Instrument
from k2stream.settings import FeedSettings

log = logging.getLogger(__name__)

# Pause between publishes: each has a fixed cost here, in the broker and downstream.
PUBLISH_SECONDS, BUSY_PUBLISH_SECONDS = 0.01, 0.05
BUSY_TRADES = 20  # trades in the last publish from which the longer pause is used
BATCH_FRAMES = 1000
BATCH_BYTES = 500_000
PENDING_BYTES = 32 * 1024 * 1024  # buffered while Kafka is unavailable; beyond that the socket is not read
FRAME_OVERHEAD = 150  # bytes of Python objects around a pending frame


class Feed:
    """Receives an exchange's trades and publishes them as raw records, forever.

    A batch is everything that has arrived since the last publish, at least PUBLISH_SECONDS ago. At a low rate
    each frame is published at once, at a high rate many frames together. Nothing is ever in flight behind a
    failed publish.
    """

    def __init__(
        self,
        exchange: Exchange,
        instruments: Sequence[Instrument],
        publisher: Publisher,
        settings: FeedSettings,
        partitions: int,
        *,
        now_us: Callable[[], int] = clock.now_us,
        pending_bytes: int = PENDING_BYTES,
    ) -> None:
        """Create a feed; `partitions` is the number of partitions of the raw topic.

        Raises ConfigError when there are no instruments, the exchange cannot subscribe to them, or the URL is
        invalid.
        """
        self._exchange = exchange
        self._publisher = publisher
        self._settings = settings
        self._now_us = now_us
        self._url = _checked_url(exchange.name, settings)
        if not instruments:
            raise ConfigError(f"{settings.instruments_file}: no {exchange.name} symbols; add at least one")
        exchange.subscribe(instruments)
        self._instruments = {item.symbol: item for item in instruments}
        self._silence = settings.silence_seconds or exchange.silence_seconds
        self._batcher = Batcher(exchange, partitions, simulated=settings.simulated)
        self.heard = self._batcher.heard
        self.status = Status(exchange.name, simulated=settings.simulated)
        self._link: Connection | None = None
        self._socket: Socket | None = None
        self._asker: Asker | None = None
        self._closing: asyncio.Task[None] | None = None
        self._pending: deque[tuple[Connection, Arrival, bytes] | Callable[[], None]] = deque()
        self._pending_size = 0
        self._pending_limit = pending_bytes
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._durable = asyncio.Event()
        self._received = self._published = 0  # frames
        self.up_until: dict[str, int] = {}
        """By symbol, the time (µs) until which its trades are known to have arrived.

        To continue from a previous process, fill it before `run`.
        """

        self._receiving: asyncio.Task[None] | None = None
        self._finished = asyncio.Event()

    async def run(self) -> None:
        """Feed until `stop`. Raises the publisher's errors: the worker must restart and not skip records."""
        if last := max(self.up_until.values(), default=0):
            # A killed worker could not report its end; this one may be killed too before it is up.
            starts = partial(self._batcher.ended, Connection(""), EventKind.DISCONNECTED, "a worker starts")
            self._in_order(partial(starts, time=self._now_us(), since=last))
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
        """Close the socket, and wait until everything received is published."""
        if self._receiving:
            self._receiving.cancel()
            await self._finished.wait()

    async def settled(self) -> None:
        """Return once everything that has arrived by now is durable, including unread data."""
        socket = self._socket
        while socket and socket is self._socket and socket.behind:
            self._durable.clear()
            await self._durable.wait()
        received = self._received + (len(self._socket.arrivals) if self._socket else 0)
        while self._published < received:
            self._durable.clear()
            await self._durable.wait()

    async def _receive_forever(self) -> None:
        backoff = self._backoff()
        loop = asyncio.get_running_loop()
        hurried = False
        while True:
            started = loop.time()
            expected = await self._connection()
            if loop.time() - started >= STABLE_SECONDS:
                backoff.reset()
                hurried = False
            delay = 0.0 if expected and not hurried else backoff.next()
            hurried = hurried or expected  # against a reconnect storm if each connection ends at once
            log.info("%s: connecting again in %.1f s", self._exchange.name, delay)
            await asyncio.sleep(delay)

    def _backoff(self) -> Backoff:
        return Backoff(self._settings.reconnect_base_seconds, self._settings.reconnect_cap_seconds)

    async def _connection(self) -> bool:
        """Run one connection from open to close; True when the exchange closed it as expected."""
        name = self._exchange.name
        try:
            socket = await open_socket(self._url, self._settings.max_frame_bytes, self._now_us)
        except (OSError, WebSocketException) as error:
            log.warning("%s: no connection to %s: %s", name, self._url, _text(error))
            return False
        link = Connection(f"{name}-{secrets.token_hex(4)}", Subscriptions(self._instruments, self.up_until))
        self._link, self._socket = link, socket
        opened = asyncio.get_running_loop().time()
        try:
            await self._receive(socket, link)
        except ConnectionClosed as error:
            expected = self._exchange.expected_close(asyncio.get_running_loop().time() - opened)
            self._in_order(partial(self._closed, socket, link, error, self._now_us(), expected))
        finally:
            self._link = self._socket = None
            self.status.set_connected(False)
            self.status.subscriptions(dict.fromkeys(self._instruments, Subscription.ASKED))
            await socket.close()
        self.status.reconnecting()
        return expected or link.closing

    async def _receive(self, socket: Socket, link: Connection) -> None:
        """Subscribe, and queue each frame with its arrival time. Raises ConnectionClosed."""
        socket.watch(self._silence)
        give_up = partial(self._give_up, socket, link)
        asker = self._asker = Asker(
            self._exchange, self._instruments, link.subscriptions, socket.send, give_up, self._backoff
        )
        asking = asyncio.create_task(asker.run())
        try:
            while True:
                data = await socket.recv(decode=False)
                self._received += 1
                self._pending.append((link, socket.arrivals.popleft(), data))
                self._pending_size += len(data) + FRAME_OVERHEAD
                self._work.set()
                if self._pending_size > self._pending_limit:
                    log.warning("%s: Kafka is behind, the socket is left unread", self._exchange.name)
                    self._room.clear()
                    await self._room.wait()
        finally:
            asking.cancel()

    def _in_order(self, work: Callable[[], None]) -> None:
        """Call `work` once everything received so far is parsed."""
        self._pending.append(work)
        self._work.set()

    async def _give_up(self, socket: Socket, link: Connection, symbols: Sequence[str]) -> None:
        """Stop waiting for responses about symbols, once everything received so far is parsed."""
        await self._room.wait()
        self._in_order(partial(self._unanswered, socket, link, symbols))

    def _unanswered(self, socket: Socket, link: Connection, symbols: Sequence[str]) -> None:
        if link.subscriptions.answered:
            now = self._now_us()
            self._batcher.report_changes(link, link.subscriptions.unanswered(symbols, now), now)
            self._show(link)
        else:
            socket.transport.abort()

    def _handle_control_frame(self, link: Connection, frame: Frame) -> None:
        """Handle a frame about the connection itself."""
        if frame.answer:
            self._show(link)
        if frame.closing:
            link.closing = True
            if link is self._link and self._socket:
                log.info("%s: the exchange is about to close %s", self._exchange.name, link.name)
                self._closing = asyncio.create_task(self._socket.close())

    def _show(self, link: Connection) -> None:
        if link is not self._link:
            return
        whole = link.subscriptions.whole
        if whole and not self.status.connected:
            log.info("%s: connected to %s as %s", self._exchange.name, self._url, link.name)
        self.status.set_connected(whole)
        self.status.subscriptions(link.subscriptions.states)
        if self._asker:
            self._asker.changed.set()

    def _closed(
        self, socket: Socket, link: Connection, error: ConnectionClosed, time: int, expected: bool
    ) -> None:
        name = self._exchange.name
        expected = expected or link.closing
        detail = _text(error)
        if not link.subscriptions.answered:
            detail = f"{len(self._instruments)} subscriptions without an answer: {detail}"
        elif expected:
            detail = f"closed by the exchange as expected: {detail}"
        if error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG and not error.rcvd_then_sent:
            limit = self._settings.max_frame_bytes
            cause = f"frame larger than K2_MAX_FRAME_BYTES={limit}, not received: {error.sent.reason}"
            self._batcher.reject(link, Reject(cause, b""), time)
        link.subscriptions.closed(socket.up_until)
        if socket.silent:
            detail = f"nothing heard for {self._silence:g} s"
            self._batcher.ended(link, EventKind.SILENCE, detail, time=time, since=socket.up_until)
        self._batcher.ended(link, EventKind.DISCONNECTED, detail, time=time, since=socket.up_until)
        log.log(logging.INFO if expected else logging.WARNING, "%s: %s: %s", name, link.name, detail)

    async def _publish_until_done(self, receiving: asyncio.Task[None]) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._work.wait()
            self._work.clear()
            self._parse_pending()
            while (batch := self._batcher.take()) or self._pending:
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
        """Parse pending frames, up to a limit that blocks the event loop for a few ms at most."""
        frames = size = 0
        while self._pending and frames < BATCH_FRAMES and size < BATCH_BYTES:
            pending = self._pending.popleft()
            if callable(pending):
                pending()
                continue
            link, arrival, data = pending
            frame = self._batcher.add(link, arrival.time, data, arrival.unread)
            if frame.answer or frame.closing:
                self._handle_control_frame(link, frame)
            frames += 1
            size += len(data)
        self._pending_size -= size + frames * FRAME_OVERHEAD
        if self._pending_size <= self._pending_limit // 2:
            self._room.set()

    async def _report_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.metrics_line_seconds)
            log.info("%s", self.status.line())


def _checked_url(exchange: str, settings: FeedSettings) -> str:
    url = settings.ws_url(exchange)
    try:
        parse_uri(url)
    except InvalidURI:
        raise ConfigError(
            f"K2_{exchange.upper()}_WS_URL={url!r} is not a ws:// or wss:// URL: correct or unset it"
        ) from None
    return url


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
