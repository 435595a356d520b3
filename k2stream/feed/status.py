"""What a feed has done so far: Prometheus metrics, and one line for the log."""

from __future__ import annotations

import logging

from k2stream import metrics
from k2stream.exchanges.spec import Kind
from k2stream.feed.batch import Batch

log = logging.getLogger(__name__)


class Status:
    """Counts of one exchange's feed since the worker started."""

    def __init__(self, exchange: str, *, simulated: bool) -> None:
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
        self._last_frame = metrics.LAST_FRAME.labels(exchange)

    def published(self, batch: Batch) -> None:
        """Count a batch that is durable."""
        for kind, count in batch.frames.items():
            self._frames[kind].inc(count)
        self.unknown += batch.frames[Kind.UNKNOWN]
        self.raw += batch.trades
        self._raw.inc(batch.trades)
        if batch.causes:
            self.rejected += len(batch.causes)
            self._rejected.inc(len(batch.causes))
            log.warning("%s: %d to the dead letters: %s", self._title, len(batch.causes), batch.causes[0])
        if batch.errors:
            self.errors += len(batch.errors)
            self._errors.inc(len(batch.errors))
            for text in batch.errors:
                log.error("%s: the exchange answered with an error: %s", self._title, text)
        if batch.received_us:
            self._last_frame.set(batch.received_us / 1e6)

    def set_connected(self, connected: bool) -> None:
        """The socket is open and the subscriptions are sent, or it is gone."""
        self.connected = connected
        self._connected.set(connected)

    def reconnecting(self) -> None:
        """A connection that was lost is about to be opened again."""
        self.reconnects += 1
        self._reconnects.inc()

    def line(self) -> str:
        """One line for the log."""
        return (
            f"{self._title}: raw={self.raw} rejected={self.rejected} errors={self.errors} "
            f"unknown={self.unknown} reconnects={self.reconnects} "
            f"connected={'yes' if self.connected else 'no'}"
        )
