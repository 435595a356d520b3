"""A feed's statistics: Prometheus metrics, and one line for the log."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping

from k2stream import metrics
from k2stream.exchanges.spec import Kind, Subscription
from k2stream.feed.batch import FeedBatch

log = logging.getLogger(__name__)


class Status:
    """Counts of one exchange's feed since the worker started."""

    def __init__(self, exchange: str, *, simulated: bool) -> None:
        self._exchange = exchange
        self._title = f"{exchange} SIMULATED" if simulated else exchange
        self.raw = 0
        self.rejected = 0
        self.errors = 0
        self.unknown = 0
        self.reconnects = 0
        self.connected = False
        self._frames = {kind: metrics.FRAMES.labels(exchange, kind.value) for kind in Kind}
        self._raw = metrics.RAW_TRADES.labels(exchange)
        self._rejected = metrics.REJECTED.labels(exchange, "ingest")
        self._errors = metrics.EXCHANGE_ERRORS.labels(exchange)
        self._reconnects = metrics.RECONNECTS.labels(exchange)
        self._connected = metrics.CONNECTED.labels(exchange)
        self._subscriptions: dict[str, Subscription] = {}
        self._last_frame = metrics.LAST_FRAME.labels(exchange)

    def published(self, batch: FeedBatch) -> None:
        """Count a batch that is durable."""
        for kind, count in batch.frames.items():
            self._frames[kind].inc(count)
        self.unknown += batch.frames[Kind.UNKNOWN]
        self.raw += batch.trades
        self._raw.inc(batch.trades)
        if batch.causes:
            self.rejected += len(batch.causes)
            self._rejected.inc(len(batch.causes))
            log.warning("%s: %d dead letters: %s", self._title, len(batch.causes), batch.causes[0])
        if batch.errors:
            self.errors += len(batch.errors)
            self._errors.inc(len(batch.errors))
            for text in batch.errors:
                log.error("%s: the exchange answered with an error: %s", self._title, text)
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for change in batch.down:
            texts[f"{change.kind}: {change.detail}"].append(change.symbol)
        for text, symbols in texts.items():
            concerned = {"symbol": symbols[0]} if len(symbols) == 1 else {}
            log.error("%s: no subscription of %s: %s", self._title, ", ".join(symbols), text, extra=concerned)
        if batch.received_us:
            self._last_frame.set(batch.received_us / 1e6)

    def subscriptions(self, states: Mapping[str, Subscription]) -> None:
        """Set the subscription states of all symbols."""
        for symbol, state in states.items():
            before = self._subscriptions.get(symbol)
            if state is not before:
                self._subscriptions[symbol] = state
                for each in Subscription if before is None else (before, state):
                    metrics.SUBSCRIPTION.labels(self._exchange, symbol, each.value).set(each is state)

    def set_connected(self, connected: bool) -> None:
        """Set whether the socket is open and all symbols are subscribed."""
        self.connected = connected
        self._connected.set(connected)

    def reconnecting(self) -> None:
        """Count a reconnect of a lost connection."""
        self.reconnects += 1
        self._reconnects.inc()

    def line(self) -> str:
        """Format the statistics as one line for the log."""
        return (
            f"{self._title}: raw={self.raw} rejected={self.rejected} errors={self.errors} "
            f"unknown={self.unknown} reconnects={self.reconnects} "
            f"connected={'yes' if self.connected else 'no'}"
        )
