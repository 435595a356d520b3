"""Candles of any symbol, whichever worker owns its partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from k2stream import topics
from k2stream.batch import BatchApp, is_ready, owner
from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import State
from k2stream.history.reader import CandleAnswer
from k2stream.history.timeframes import Timeframe
from k2stream.model.instrument import Instrument
from k2stream.settings import KafkaSettings
from k2stream.tables.ohlcv import CandleTables
from k2stream.web import remote
from k2stream.web.candles import CandleReader
from k2stream.web.query import Query, RequestError


@dataclass(frozen=True, slots=True)
class CandleLookup:
    """Reads candles from this worker's tables, or over HTTP from the worker that owns the partition.

    `partitions` are those of this worker, by number.
    """

    app: BatchApp
    tables: CandleTables
    partitions: Mapping[int, CandlePartition]
    reader: CandleReader
    kafka: KafkaSettings

    def newest(self, instrument: Instrument, timeframe: str) -> tuple[int, State] | None:
        """Open time (ms) and state of the last candle of a stored timeframe, if this worker has any."""
        if not is_ready(self.app):
            return None
        number = topics.partition_of(instrument.symbol, self.kafka.raw_partitions(instrument.exchange))
        partition = self.partitions.get(number)
        return None if partition is None else partition.newest(timeframe, instrument.key)

    async def read(self, instrument: Instrument, of: Timeframe, query: Query) -> CandleAnswer:
        """The query's candles. Raises RequestError: 503 while no worker owns the partition, or 502."""
        if not is_ready(self.app):
            raise RequestError(503, "the tables of this worker are recovering, ask again")
        number = topics.partition_of(instrument.symbol, self.kafka.raw_partitions(instrument.exchange))
        if (partition := self.partitions.get(number)) is not None:
            return await self.reader.read(partition, instrument, of, query)
        url = owner(self.app, self.tables.windows[of.base], number)
        return await remote.read(self.app, url, instrument, of, query)
