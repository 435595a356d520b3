"""What the service answers from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from k2stream.history.reader import CandleAnswer
from k2stream.history.timeframes import Timeframe
from k2stream.model.instrument import Instrument, Instruments
from k2stream.settings import Settings
from k2stream.web.health import FeedHealth
from k2stream.web.query import Query


class Candles(Protocol):
    """Reads candles of any symbol, timeframe and age."""

    async def read(self, instrument: Instrument, of: Timeframe, query: Query) -> CandleAnswer:
        """The query's candles, ascending. Raises RequestError."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What routes read from; `is_ready` says whether the worker's tables are recovered."""

    settings: Settings
    instruments: Instruments
    candles: Candles
    health: FeedHealth
    is_ready: Callable[[], bool]

    @property
    def simulated(self) -> bool:
        """Whether the feeds are simulated, which every answer says."""
        return self.settings.feeds.simulated
