"""The newest canonical trades, of the topic that streams follow: a store is a little behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from k2stream import faults, topics
from k2stream.batch import TP, RecordBatch
from k2stream.layers import silver
from k2stream.layers.schema import SILVER
from k2stream.model.errors import Unavailable
from k2stream.model.instrument import Instrument
from k2stream.service.stream.entries import Place, StreamEntry
from k2stream.service.stream.follower import ENDLESS
from k2stream.service.stream.hub import Hub

READY_SECONDS = 3.0
"""How long the topic's end is waited for, where nobody followed the topic before."""


class TopicTrades(NamedTuple):
    """Trades with silver's columns, in the order of the topic; `whole` if none is missing among them."""

    rows: pa.Table
    whole: bool


class PublishedTrades:
    """The trades that the hub follows."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def partition(self, instrument: Instrument) -> int:
        """The partition of an instrument."""
        return topics.partition_of(instrument.symbol, self._hub.kafka.raw_partitions(instrument.exchange))

    async def after(self, instrument: Instrument, offset: int) -> TopicTrades:
        """The instrument's trades after an offset. Raises Unavailable while it is not followed."""
        source, number = self._hub.trades(), self.partition(instrument)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await source.ready()
        except TimeoutError:
            raise Unavailable("the end of the topic is not reached yet: ask again") from None
        keys, place = [instrument.key], Place(offset, ENDLESS)
        entries = source.log.after(keys, number, place)
        whole = source.log.covers(keys, number, place)
        return TopicTrades(await asyncio.to_thread(rows_of, number, entries), whole)


def rows_of(partition: int, entries: Sequence[StreamEntry]) -> pa.Table:
    """The trades of entries of one partition, as the sinks read them; without those that they refuse."""
    if not entries:
        return SILVER.empty_table()
    batch = RecordBatch(
        TP(topics.NORMALIZED, partition),
        np.array([entry.place.offset for entry in entries], np.int64),
        np.array([entry.place.clock for entry in entries], np.int64),
        [None] * len(entries),
        [entry.record for entry in entries],
    )
    _, found, _ = faults.read(batch, silver.columns)
    return found.select(SILVER.names)
