"""Reads numbered trades without blocking the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade, TradeQuery
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)


class TradeSource(Protocol):
    """Reads canonical trades of any symbol, by number or time."""

    async def read(self, instrument: Instrument, query: TradeQuery) -> Sequence[NumberedTrade]:
        """The query's trades, ascending by id. Raises RequestError 503 while the store is unavailable."""
        ...


class NoTrades:
    """Where no store of trades is known."""

    async def read(self, instrument: Instrument, query: TradeQuery) -> Sequence[NumberedTrade]:
        """Raises RequestError 503."""
        raise RequestError(503, "no store of trades is known here")


class Store(Protocol):
    """A store of trades. Its method blocks, and raises whatever its client raises."""

    def read(self, instrument: Instrument, query: TradeQuery) -> list[NumberedTrade]:
        """The query's trades, ascending by id."""
        ...


class StoredTrades:
    """Trades of a store, one query at a time, in a thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._free = asyncio.Lock()

    async def read(self, instrument: Instrument, query: TradeQuery) -> Sequence[NumberedTrade]:
        """The query's trades, ascending by id. Raises RequestError 503 while the store is unavailable."""
        async with self._free:
            try:
                return await asyncio.to_thread(self._store.read, instrument, query)
            except Exception as error:  # any error of its client
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                logger.warning("trades are unavailable: %s", reason)
                raise RequestError(503, "the store of trades does not answer, ask again") from None
