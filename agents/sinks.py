"""The hot tier's two sinks, shared by the bronze, silver and gold agents."""

from __future__ import annotations

from functools import cache

from k2stream.app import create_app
from k2stream.clickhouse.destination import ClickHouse
from k2stream.delivery.sink import Policy
from k2stream.delivery.worker import SinkWorker
from k2stream.settings import current

MAX_BYTES = 64 << 20  # all buffers of one sink together
GATHER_SECONDS = (0.03, 0.1)  # a delivery for every few trades would cost far more
SAVE_SECONDS = 2.0  # rows whose position a crash leaves unsaved are inserted again, and deduplicated
CANDLE_SECONDS = 0.02  # practically back to back: any insert, however small, takes about 10 ms


@cache
def trades() -> SinkWorker:
    """The sink of bronze and silver, one per process; both layers share its connection."""
    return _sink(current().sinks.flush_seconds)


@cache
def candles() -> SinkWorker:
    """The sink of gold; it has its own connection, so that no candle waits for a large insert of trades."""
    return _sink(min(CANDLE_SECONDS, current().sinks.flush_seconds))


def _sink(flush_seconds: float) -> SinkWorker:
    settings = current()
    app = create_app("hot")
    app.gather_seconds = GATHER_SECONDS
    policy = Policy(
        flush_seconds=flush_seconds,
        max_rows=settings.sinks.max_rows,
        max_bytes=MAX_BYTES,
        save_seconds=SAVE_SECONDS,
    )
    return SinkWorker(app, settings.kafka, ClickHouse(settings.clickhouse), policy)
