"""When the feeds were healthy: every candles worker reads all feed events, without a consumer group."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import aclosing
from enum import StrEnum

import msgspec

from k2stream import topics
from k2stream.batch import TP
from k2stream.kafka.follow import from_beginning
from k2stream.model.certificate import FeedSpan
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import EventKind, FeedEvent
from k2stream.settings import KafkaSettings
from k2stream.web.ledger import FeedLedger
from k2stream.web.spans import Spans

logger = logging.getLogger(__name__)

Healthy = Callable[[int, int], bool | None]
"""Whether a feed was up and lost nothing in [start, end) (µs since 1970); None if that is unknown."""


class Unhealthy(StrEnum):
    """Why a feed was not healthy throughout a window."""

    BEGAN = "began"  # it was up for the first time within the window, and has lost nothing since
    BEFORE = "before"  # it was up for the first time after the window
    LOST = "lost"  # it was down, or lost trades


Reason = Callable[[int, int], Unhealthy | None]
"""Why a feed was not healthy in [start, end) (µs since 1970); None if it was, or if that is unknown."""


_LOST = (EventKind.GAP, EventKind.LOST_FRAMES, EventKind.EXPIRED)
_DOWN = (EventKind.DISCONNECTED, EventKind.SILENCE, EventKind.REFUSED, EventKind.WITHDRAWN)


_Ids = tuple[str, str, str, int, int | None, int | None]


def _ids(event: FeedEvent) -> _Ids:
    numbering = event.exchange, event.symbol, event.numbering, event.epoch
    return *numbering, event.first_missing, event.last_missing


class FeedHealth:
    """Spans in which feeds were down or lost trades, by exchange and native symbol ("" for all symbols).

    A feed that is up and quiet is healthy. A later backfill does not remove a span: the feed was down.
    """

    def __init__(self) -> None:
        self.ready = False
        self.ledger = FeedLedger()
        self._known_since = 0
        self._began: dict[tuple[str, str], int] = {}  # when it was up for the first time
        self._bad: defaultdict[tuple[str, str], Spans] = defaultdict(Spans)
        # `_down`: since when each symbol is down, by exchange. `_again`: symbols that came up before their
        # exchange did, with None, or with the time since when they are down again.
        self._down: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._again: defaultdict[str, dict[str, int | None]] = defaultdict(dict)
        self._jumps: dict[_Ids, tuple[int, int]] = {}

    def add(self, event: FeedEvent) -> None:
        """Apply a feed event."""
        self.ledger.add(event)
        if event.kind in (EventKind.CONNECTED, EventKind.SUBSCRIBED):
            key = event.exchange, event.symbol
            since = event.since or self._began.setdefault(key, event.time)
            # A killed worker reports no disconnect: the span starts at its last sign of life (`since`).
            if since < event.time:
                self._bad[key].add(since, event.time)
            self._up(event.exchange, event.symbol)
        elif event.kind in _DOWN:
            self._went_down(event.exchange, event.symbol, event.since or event.time)
        elif event.kind is EventKind.JUMP:
            self._jumps[_ids(event)] = (event.since or event.time, event.time)
        elif event.kind is EventKind.BACKFILLED:
            if (span := self._jumps.pop(_ids(event), None)) and event.count:
                self._bad[event.exchange, event.symbol].add(*span)  # trades were found, so they were missing
        elif event.kind in _LOST:
            self._bad[event.exchange, event.symbol].add(event.since or event.time, event.time)

    def _up(self, exchange: str, symbol: str) -> None:
        down, again = self._down[exchange], self._again[exchange]
        if symbol:
            down.pop(symbol, None)
            again[symbol] = None
        else:
            down.clear()
            again.clear()

    def _went_down(self, exchange: str, symbol: str, since: int) -> None:
        down, again = self._down[exchange], self._again[exchange]
        if not symbol and symbol in down:
            again |= {name: since for name, before in again.items() if before is None}
        elif not symbol:
            again.clear()
        down.setdefault(symbol, since)

    def _down_since(self, exchange: str, symbol: str) -> int | None:
        """Since when a symbol has been down; None when it is up."""
        down = self._down[exchange]
        whole = self._again[exchange].get(symbol, down.get(""))
        return min((since for since in (whole, down.get(symbol)) if since is not None), default=None)

    def checker(self, exchange: str, symbol: str) -> Healthy:
        """A function that tells whether the symbol's feed was healthy in a time range."""
        spans = self._spans(exchange, symbol)

        def healthy(start: int, end: int) -> bool | None:
            if not self.ready or start < self._known_since:
                return None
            began = self._first_up(exchange, symbol)
            return (began is None or began < start) and not self._lost(exchange, symbol, spans, start, end)

        return healthy

    def reason(self, exchange: str, symbol: str, start: int, end: int) -> Unhealthy | None:
        """Why the symbol's feed was not healthy in [start, end); None if it was, or if that is unknown."""
        if not self.ready or start < self._known_since:
            return None
        began = self._first_up(exchange, symbol)
        if began is not None and began >= end:
            return Unhealthy.BEFORE
        since = start if began is None or began < start else began + 1  # what was before it is no loss
        if self._lost(exchange, symbol, self._spans(exchange, symbol), since, end):
            return Unhealthy.LOST
        return None if since == start else Unhealthy.BEGAN

    def _first_up(self, exchange: str, symbol: str) -> int | None:
        """When the symbol's feed was up for the first time; None if that was before all events."""
        began = (self._began.get((exchange, name)) for name in ("", symbol))
        return max((time for time in began if time is not None), default=None)

    def _spans(self, exchange: str, symbol: str) -> list[Spans]:
        return [found for name in ("", symbol) if (found := self._bad.get((exchange, name)))]

    def _lost(self, exchange: str, symbol: str, spans: list[Spans], start: int, end: int) -> bool:
        down = self._down_since(exchange, symbol)
        return (down is not None and down < end) or any(span.meet(start, end) for span in spans)

    def lost(self, exchange: str, symbol: str, start: int, end: int) -> tuple[FeedSpan, ...] | None:
        """The parts of [start, end] (µs) in which a feed was down or lost trades; None if that is unknown."""
        if not self.ready or start < self._known_since:
            return None
        found = Spans()
        for spans in self._spans(exchange, symbol):
            for first, last in spans.within(start, end):
                found.add(first, last)
        began = self._first_up(exchange, symbol)
        if began is not None and began >= start:
            found.add(start, min(began, end))
        down = self._down_since(exchange, symbol)
        if down is not None and down <= end:
            found.add(max(down, start), end)
        return tuple(FeedSpan(*span) for span in found.within(start, end))

    async def follow(self, settings: KafkaSettings) -> None:
        """Follow the topic from its beginning; sets `ready` once the events present at the start are read."""
        async with aclosing(from_beginning(settings, TP(topics.FEED_EVENTS, 0))) as polls:
            async for polled in polls:
                for record in polled.records:
                    self.take(record.value, record.offset, expired=polled.beginning > 0)
                self.ready = polled.caught_up

    def take(self, value: bytes | None, offset: int, *, expired: bool) -> None:
        """Apply a record; `expired`: earlier ones have expired, so the time before the first is unknown."""
        try:
            event = msgspec.json.decode(value or b"", type=FeedEvent)
            self._known_since = self._known_since or (event.time if expired else 0)
            self.add(event)
        except UNREADABLE as error:
            concerned = {"topic": topics.FEED_EVENTS, "partition": 0, "offset": offset}
            logger.warning(
                "%s offset %d is not a feed event: %s", topics.FEED_EVENTS, offset, error, extra=concerned
            )
