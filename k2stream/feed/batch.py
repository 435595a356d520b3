"""Converts received frames to records to publish: raw trades, dead letters and feed events, with counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from k2stream import deadletter, topics
from k2stream.deadletter import DeadLetter
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Exchange, Frame, Kind, Reject
from k2stream.feed.columns import Columns
from k2stream.feed.subscriptions import Change, Subscriptions
from k2stream.model import events
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.frames import FrameCounter, MissingFrames
from k2stream.model.trade import RawTrade

REORDER_US = 5_000_000
"""A frame missing for longer than this after a later frame has arrived is lost."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection: its name, its subscriptions, its number of trades, and its frame numbers.

    `closing` means that the exchange has announced its end.
    """

    name: str
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    trades: int = 0
    frames: FrameCounter = field(default_factory=FrameCounter)
    closing: bool = False

    def source(self, symbol: str) -> str:
        """Return the name of a source that sends each of a symbol's trades once.

        This is the connection, or a repeated subscription on it.
        """
        again = self.subscriptions.again[symbol]
        return f"{self.name}.{again}" if again else self.name


class Heard(NamedTuple):
    """A trade that a feed brought: the connection, the receive time (µs), and the trade."""

    connection: str
    time: int
    trade: RawTrade


@dataclass(slots=True)
class FeedBatch:
    """The result of several frames: records by (topic, partition), counts, and texts to log.

    `received_us` is the arrival time of the newest frame, 0 without frames.
    """

    columns: dict[tuple[str, int], Columns] = field(default_factory=dict)
    trades: int = 0
    received_us: int = 0
    frames: Counter[Kind] = field(default_factory=Counter)
    causes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    down: list[Change] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.columns or self.frames)

    def to(self, topic: str, partition: int) -> Columns:
        """Return the columns of one partition."""
        return self.columns.setdefault((topic, partition), Columns())


class Batcher:
    """Builds batches from the frames of an exchange's connections."""

    def __init__(self, exchange: Exchange, partitions: int, *, simulated: bool) -> None:
        """Create a batcher; `partitions` is the number of partitions of the raw topic."""
        self._exchange = exchange
        self._simulated = simulated
        self._topic = topics.raw(exchange.name)
        self._batch = FeedBatch()
        self._newest: dict[str, tuple[Connection, int, RawTrade]] = {}

        @lru_cache(maxsize=4096)
        def route(symbol: str) -> tuple[bytes, int]:
            return symbol.encode(), topics.partition_of(symbol, partitions)

        self._route = route

    def take(self) -> FeedBatch:
        """Return the batch so far, and start an empty one."""
        batch, self._batch = self._batch, FeedBatch()
        return batch

    def add(self, link: Connection, received_us: int, data: bytes, unread_us: int = 0) -> Frame:
        """Parse one frame of a connection and add its records; `unread_us` as in Arrival."""
        frame = self._parse(data)
        batch = self._batch
        batch.frames[frame.kind] += 1
        batch.received_us = received_us
        if frame.sequence is not None:
            self._count(link, frame.sequence, received_us)
        for trade in frame.trades:
            value = raw.record(trade, received_us, link.source(trade.symbol), link.trades, unread=unread_us)
            if len(value) > topics.MAX_RAW_BYTES:
                cause = f"trade larger than {topics.MAX_RAW_BYTES} bytes"
                self.reject(link, Reject(cause, trade.body), received_us)
                continue
            key, partition = self._route(trade.symbol)
            batch.to(self._topic, partition).append(key, value, received_us)
            self._newest[trade.symbol] = link, received_us, trade
            batch.trades += 1
            link.trades += 1
        for reject in frame.rejects:
            self.reject(link, reject, received_us)
        if frame.kind is Kind.ERROR:
            batch.errors.append(frame.detail)
            self.event(EventKind.EXCHANGE_ERROR, link, frame.detail, time=received_us)
        if frame.answer:
            answer = link.subscriptions.answer(frame.answer, frame.detail, unread_us or received_us)
            self.report_changes(link, answer, received_us)
        return frame

    def heard(self, symbol: str) -> Heard | None:
        """Return a symbol's last trade, None before the first."""
        if symbol not in self._newest:
            return None
        link, time, trade = self._newest[symbol]
        return Heard(link.name, time, trade)

    def report_changes(self, link: Connection, changes: list[Change], time: int) -> None:
        """Add feed events for changes of a connection's subscriptions."""
        for change in changes:
            self.event(change.kind, link, change.detail, time=time, since=change.since, symbol=change.symbol)
            if change.kind in (EventKind.REFUSED, EventKind.WITHDRAWN):
                self._batch.down.append(change)

    def ended(self, link: Connection, kind: EventKind, detail: str, *, time: int, since: int) -> None:
        """Add feed events for the end of a connection that was up until `since`, and for missing frames."""
        self._lost(link, link.frames.take(time))
        self.event(kind, link, detail, time=time, since=since)

    def reject(self, link: Connection, reject: Reject, time: int) -> None:
        """Add a dead letter for unusable data that arrived at `time` (µs)."""
        cause, original = deadletter.shortened(reject.cause, reject.original)
        letter = DeadLetter(
            cause=cause,
            exchange=self._exchange.name,
            time=time,
            original=original,
            stage="ingest",
            connection=link.name,
        )
        self._batch.causes.append(cause)
        self._put(topics.DLQ, deadletter.encode(letter), letter.time)

    def event(
        self,
        kind: EventKind,
        link: Connection,
        detail: str = "",
        *,
        time: int,
        count: int = 0,
        since: int = 0,
        symbol: str = "",
    ) -> None:
        """Add a feed event about the connection; `time` and `since` are in µs."""
        event = FeedEvent(
            kind=kind,
            exchange=self._exchange.name,
            time=time,
            symbol=symbol,
            detail=detail,
            connection=link.name,
            count=count,
            since=since,
            simulated=self._simulated,
        )
        self._put(topics.FEED_EVENTS, events.encode(event), event.time)

    def _parse(self, data: bytes) -> Frame:
        try:
            return self._exchange.parse(data)
        except Exception as error:  # an error in a parser may cost a frame, but never stop the feed
            cause = f"parser failed: {type(error).__name__}: {error}"
            return Frame(Kind.REJECTED, rejects=(Reject(cause, data),))

    def _count(self, link: Connection, sequence: int, received_us: int) -> None:
        """Track the frame numbers of an exchange that counts frames per connection, over all channels."""
        link.frames.add(sequence, received_us)
        if link.frames.missing:
            self._lost(link, link.frames.take(received_us - REORDER_US))

    def _lost(self, link: Connection, lost: list[MissingFrames]) -> None:
        for gap in lost:
            detail = f"frames {gap.first} to {gap.last} did not come"
            self.event(EventKind.LOST_FRAMES, link, detail, time=gap.at, count=gap.lost, since=gap.since)

    def _put(self, topic: str, value: bytes, time_us: int) -> None:
        self._batch.to(topic, 0).append(self._exchange.name.encode(), value, time_us)
