"""What the service of a candles worker reads from."""

from __future__ import annotations

from collections.abc import Callable

from k2stream.clickhouse.numbered import NumberedTrades
from k2stream.clickhouse.recent_trades import RecentTrades
from k2stream.iceberg.trades import ColdTrades
from k2stream.model.instrument import Instruments
from k2stream.service.overview import Candles
from k2stream.service.sources import Sources
from k2stream.service.trade_history import TradeHistory
from k2stream.service.trades import StoredTrades
from k2stream.service.workers import WorkerStates
from k2stream.settings import Settings
from k2stream.web.health import FeedHealth


def sources_of(
    settings: Settings,
    listed: Instruments,
    candles: Candles,
    health: FeedHealth,
    is_ready: Callable[[], bool],
) -> Sources:
    """The worker's own tables and feed events, both stores, and the other workers."""
    return Sources(
        settings,
        listed,
        candles,
        health,
        is_ready,
        WorkerStates(settings),
        StoredTrades(NumberedTrades(settings.clickhouse)),
        TradeHistory(RecentTrades(settings.clickhouse), lambda: ColdTrades(settings.iceberg)),
    )
