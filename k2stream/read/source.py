"""What candles and trades are read from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import pyarrow as pa

from k2stream.history.reader import MissingTier
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import Timeframe
from k2stream.model.instrument import Instrument, Instruments


class RowPage(NamedTuple):
    """Candles (columns of `columns.PAGE`) or trades (of silver), ascending; tiers that may have more."""

    rows: pa.Table
    missing: tuple[MissingTier, ...] = ()


class Source(Protocol):
    """A place to read from; `simulated` is whether its trades are, None if that is unknown."""

    where: str
    simulated: bool | None

    def instruments(self) -> Instruments:
        """The instruments it may have."""
        ...

    def page_size(self, timeframe: Timeframe) -> int:
        """The most candles of a page."""
        ...

    def candles(
        self, instrument: Instrument, timeframe: Timeframe, span: CandleSpan, health: bool
    ) -> RowPage:
        """The first candles of a span that has a start; fewer than its limit only if there are no more.

        Without `health`, feed_healthy may be null even where it is known.
        """
        ...

    def trades(self, instrument: Instrument, start: int, end: int | None) -> Iterator[RowPage]:
        """The trades with start <= timestamp < end (ms), in order, in at least one page."""
        ...
