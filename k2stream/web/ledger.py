"""What happened to the feeds, by exchange: from the same events as their health."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from k2stream.model.events import EventKind, FeedEvent
from k2stream.web.spans import Spans

MOST_GAPS = 10_000
"""Gaps that are kept per exchange; older ones are forgotten."""

DAY_US = 86_400_000_000

_LOSSES = (EventKind.GAP, EventKind.JUMP, EventKind.LOST_FRAMES, EventKind.EXPIRED)
_DOWN = (EventKind.DISCONNECTED, EventKind.SILENCE)

_Ids = tuple[str, str, int, int | None, int | None]


@dataclass(slots=True)
class Gap:
    """Trades that did not arrive; times in µs. `filled` counts those fetched later, None: not asked yet.

    `first_missing` and `last_missing` are ids; None for frames that were lost, and records that expired. A
    jump is of an exchange whose ids may skip: perhaps nothing was missing.
    """

    kind: str
    exchange: str
    symbol: str
    time: int
    since: int
    first_missing: int | None
    last_missing: int | None
    detail: str
    filled: int | None = None
    filled_at: int | None = None


@dataclass(slots=True)
class FeedState:
    """The state of an exchange's feed: whether it is connected, and since when (µs)."""

    connected: bool | None = None
    since: int = 0
    last_event: int = 0
    reconnects: int = 0
    detail: str = ""


class FeedLedger:
    """The state, gaps, outages and repetitions of each feed."""

    def __init__(self) -> None:
        self.feeds: defaultdict[str, FeedState] = defaultdict(FeedState)
        self._gaps: defaultdict[str, deque[Gap]] = defaultdict(lambda: deque(maxlen=MOST_GAPS))
        self._open: dict[tuple[str, _Ids], Gap] = {}
        self._down: defaultdict[tuple[str, str], Spans] = defaultdict(Spans)
        self._since: dict[tuple[str, str], int] = {}
        # When symbols were up although their exchange was not, because others were refused, and since when.
        self._alone: defaultdict[tuple[str, str], Spans] = defaultdict(Spans)
        self._alone_since: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._duplicates: Counter[tuple[str, str, int]] = Counter()

    def add(self, event: FeedEvent) -> None:
        """Apply a feed event."""
        feed = self.feeds[event.exchange]
        feed.last_event = max(feed.last_event, event.time)
        if event.kind in (EventKind.CONNECTED, EventKind.SUBSCRIBED):
            self._up(feed, event)
        elif event.kind in (*_DOWN, EventKind.REFUSED, EventKind.WITHDRAWN):
            self._went_down(feed, event)
        elif event.kind in _LOSSES:
            self._lost(event)
        elif event.kind is EventKind.BACKFILLED:
            if gap := self._open.pop((event.exchange, _ids(event)), None):
                gap.filled, gap.filled_at = event.count, event.time
        elif event.kind is EventKind.DUPLICATE:
            self._duplicates[event.exchange, event.symbol, event.time // DAY_US] += max(event.count, 1)

    def _up(self, feed: FeedState, event: FeedEvent) -> None:
        exchange, symbol = event.exchange, event.symbol
        ended = {(exchange, symbol): event.since}
        if not symbol:  # all symbols are up
            ended |= {key: since for key, since in self._since.items() if key[0] == exchange}
            self._not_alone(exchange, event.time)
            feed.reconnects += feed.connected is not None
            feed.connected, feed.since, feed.detail = True, event.time, ""
        elif (exchange, "") in self._since:
            self._alone_since[exchange].setdefault(symbol, event.time)
        for key, since in ended.items():
            began = self._since.pop(key, since)
            if 0 < began < event.time:
                self._down[key].add(began, event.time)

    def _not_alone(self, exchange: str, time: int) -> None:
        """Symbols that were up alone are as their exchange is from a time (µs) on."""
        for symbol, since in self._alone_since.pop(exchange, {}).items():
            if since < time:
                self._alone[exchange, symbol].add(since, time)

    def _went_down(self, feed: FeedState, event: FeedEvent) -> None:
        if not event.symbol:
            self._not_alone(event.exchange, event.since or event.time)
        self._since.setdefault((event.exchange, event.symbol), event.since or event.time)
        if not event.symbol and feed.connected is not False:
            feed.connected, feed.since, feed.detail = False, event.time, event.detail

    def _lost(self, event: FeedEvent) -> None:
        gap = Gap(
            event.kind.value,
            event.exchange,
            event.symbol,
            event.time,
            event.since or event.time,
            event.first_missing,
            event.last_missing,
            event.detail,
        )
        self._gaps[event.exchange].append(gap)
        self._open[event.exchange, _ids(event)] = gap
        if len(self._open) > MOST_GAPS:
            del self._open[next(iter(self._open))]

    def gaps(self, exchange: str = "", symbol: str = "") -> Iterator[Gap]:
        """Gaps, the newest first, of all or of one exchange and native symbol."""
        names = [exchange] if exchange else list(self._gaps)
        found = (gap for name in names for gap in self._gaps.get(name, ()) if symbol in ("", gap.symbol))
        return iter(sorted(found, key=lambda gap: gap.time, reverse=True))

    def down_within(self, exchange: str, symbol: str, start: int, end: int) -> int:
        """How long (µs) the feed of a native symbol was down in [start, end), as far as events tell."""
        own, whole_feed = (exchange, symbol), (exchange, "")
        down = _until(end, self._down.get(own, ()), self._since.get(own))
        alone = _until(end, self._alone.get(own, ()), self._alone_since.get(exchange, {}).get(symbol))
        for whole in _until(end, self._down.get(whole_feed, ()), self._since.get(whole_feed)):
            for part in alone.outside(*whole):
                down.add(*part)
        return down.covered(start, end)

    def duplicates(self, exchange: str, symbol: str, day: int) -> int:
        """How many repeated trades of a native symbol were dropped on a day since 1970 (UTC)."""
        return self._duplicates[exchange, symbol, day]


def _ids(event: FeedEvent) -> _Ids:
    return event.symbol, event.numbering, event.epoch, event.first_missing, event.last_missing


def _until(end: int, ended: Iterable[tuple[int, int]], since: int | None) -> Spans:
    """Spans that have ended, and one that has lasted `since` a time, up to `end` (µs)."""
    spans = Spans()
    for span in ended:
        spans.add(*span)
    if since is not None and since < end:
        spans.add(since, end)
    return spans
