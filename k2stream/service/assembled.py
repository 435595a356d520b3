"""What the service of a candles worker reads from."""

from __future__ import annotations

from collections.abc import Callable

from k2stream.clickhouse.recent_trades import RecentTrades
from k2stream.iceberg.trades import ColdTrades
from k2stream.model.instrument import Instruments
from k2stream.service.overview import Candles
from k2stream.service.sources import Sources
from k2stream.service.stream.hub import Hub
from k2stream.service.stream.published import PublishedTrades
from k2stream.service.trades import TradeHistory
from k2stream.service.workers import WorkerStates
from k2stream.settings import Settings
from k2stream.web.health import FeedHealth


def sources_of(
    settings: Settings,
    listed: Instruments,
    candles: Candles,
    health: FeedHealth,
    is_ready: Callable[[], bool],
    streams: Hub,
) -> Sources:
    """The worker's own tables and feed events, the topics it follows, both stores, and the other workers."""
    return Sources(
        settings,
        listed,
        candles,
        health,
        is_ready,
        WorkerStates(settings),
        TradeHistory(
            PublishedTrades(streams),
            RecentTrades(settings.clickhouse),
            lambda: ColdTrades(settings.iceberg),
        ),
    )
