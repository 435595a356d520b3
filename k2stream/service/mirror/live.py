"""Trades as they are published, from the topic that `/v1/stream` follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from k2stream import topics
from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror.trades import numbered
from k2stream.service.stream.hub import Hub
from k2stream.service.stream.published import rows_of
from k2stream.service.stream.same_log import same

logger = logging.getLogger(__name__)


class Waiting:
    """Waits until a log has new entries."""

    def __init__(self) -> None:
        self._more = asyncio.Event()

    def flush(self) -> None:
        """There are new entries."""
        self._more.set()

    async def more(self) -> None:
        """Return when there are entries that are newer than at the last call."""
        await self._more.wait()
        self._more.clear()


class FollowedTrades:
    """The trades that the hub follows."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def follow(self, instrument: Instrument) -> AsyncIterator[Sequence[NumberedTrade]]:
        """What is published from now on, in the order of the topic."""
        source, keys, waiting = self._hub.trades(), [instrument.key], Waiting()
        number = topics.partition_of(instrument.symbol, self._hub.kafka.raw_partitions(instrument.exchange))
        source.listen(keys, waiting)
        try:
            await source.ready()
            place, log = source.log.positions[number], source.identity
            while True:
                await waiting.more()
                if not source.log.covers(keys, number, place):
                    logger.warning("trades of %s were published faster than they are sent", instrument.key)
                    place = source.log.positions[number]
                elif same(log, source.identity) is False or place > source.log.positions[number]:
                    logger.warning("the topic of the trades of %s was made anew", instrument.key)
                    place = source.log.positions[number]
                log = source.identity
                if entries := source.log.after(keys, number, place):
                    place = entries[-1].place
                    yield numbered(rows_of(number, entries))
        finally:
            source.leave(keys, waiting)
