"""What the service answers from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from k2stream.model.instrument import Instruments
from k2stream.platform.snapshot import Snapshot
from k2stream.service.overview import Candles, Overview
from k2stream.service.trades import NoTrades, TradeReader
from k2stream.settings import Settings
from k2stream.web.health import FeedHealth


class Workers(Protocol):
    """Reads the state of all workers."""

    async def read(self) -> Snapshot | None:
        """The newest state; None if no workers are known. Raises RequestError."""
        ...


class NoWorkers:
    """Where the workers are not known."""

    async def read(self) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What routes read from; `is_ready` says whether the worker's tables are recovered."""

    settings: Settings
    instruments: Instruments
    candles: Candles
    health: FeedHealth
    is_ready: Callable[[], bool]
    workers: Workers = field(default_factory=NoWorkers)
    trades: TradeReader = field(default_factory=NoTrades)
    overview: Overview = field(init=False)
    """All symbols at a glance."""

    def __post_init__(self) -> None:
        """Look at the symbols through the same candles and health."""
        object.__setattr__(self, "overview", Overview(self.instruments, self.candles, self.health))

    @property
    def simulated(self) -> bool:
        """Whether the feeds are simulated, which every answer says."""
        return self.settings.feeds.simulated
