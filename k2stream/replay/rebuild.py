"""The pipeline in one process: raw batches to bronze and silver rows, and the contents of the tables."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from k2stream import exchanges, faults, instruments, topics
from k2stream.avro import candles, registry, wire
from k2stream.batch import TP, RecordBatch
from k2stream.candles import records
from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import State, to_row
from k2stream.deadletter import DeadLetter
from k2stream.delivery.route import Route
from k2stream.layers import bronze, gold, silver
from k2stream.model.candle import TIMEFRAMES
from k2stream.normalizer import SymbolPosition, normalize
from k2stream.replay.places import PlacedState, Places, Progresses, RebuiltWindows, Window
from k2stream.replay.source import SourceRange
from k2stream.settings import Settings

logger = logging.getLogger(__name__)

FOR_EVER = 1 << 62
"""Windows are never dropped."""

# No registry is used: these schema ids, which no registry assigns, are valid in this process only.
_TRADE_ID, _CANDLE_ID = 2**32 - 1, 2**32 - 2
_BRONZE = dict(zip(topics.EXCHANGES, bronze.ROUTES, strict=True))


class Rows(NamedTuple):
    """Rows for a route's table."""

    route: Route
    rows: pa.Table


class Rebuild:
    """The contents of the tables after the batches processed so far."""

    def __init__(self, settings: Settings) -> None:
        registry.learn(_TRADE_ID, wire.declared("trade"))
        registry.learn(_CANDLE_ID, wire.declared("candle"))
        listed = instruments.load(settings.feeds.instruments_file)
        self._native = {item.key: item.symbol for item in listed}
        self._canonical = {
            name: instruments.canonical_of(exchange, listed) for name, exchange in exchanges.REGISTRY.items()
        }
        self._count_of = settings.kafka.raw_partitions
        self.positions: defaultdict[str, dict[str, SymbolPosition]] = defaultdict(dict)
        self.windows = {timeframe: RebuiltWindows() for timeframe in TIMEFRAMES}
        self.progress = Progresses()
        self._places = Places()
        self._candles = CandlePartition(
            self.windows,
            self.progress,
            grace=settings.candles.grace_us,
            idle=FOR_EVER,
            retention=FOR_EVER,
            now=0,
        )

    def begin(self, part: SourceRange) -> None:
        """Begin a raw partition: in ascending order, as a symbol that moved went to a higher one."""
        self._places.begin((part.exchange, part.partition), part.begin)

    def placed(self) -> PlacedState:
        """What the tables hold, by partition."""
        found = self.positions, self.windows, self.progress
        return self._places.placed(*found, self._canonical, self._count_of)

    def take(self, exchange: str, batch: RecordBatch) -> list[Rows]:
        """Normalize and fold the next batch of a raw partition; returns its bronze and silver rows."""
        known = self.positions[exchange]
        done = normalize(
            exchanges.get(exchange),
            batch,
            known.get,
            self._canonical[exchange],
            schema_id=_TRADE_ID,
            process_time=int(batch.timestamps[0]) * 1000,  # of realistic size; each row's own is set below
        )
        known |= done.positions
        self._places.take((exchange, batch.tp.partition), batch.first_offset, done.positions)
        made = [Rows(_BRONZE[exchange], faults.read(batch, _BRONZE[exchange].columns)[1])]
        if done.values:
            canonical = _batch(topics.NORMALIZED, batch.tp.partition, done.keys, done.values)
            _, trades, _ = records.read(canonical)
            self._candles.apply(trades, 0)
            rows = silver.columns(canonical)
            at = rows.schema.get_field_index("process_time")
            made.append(Rows(silver.ROUTE, rows.set_column(at, "process_time", rows["receive_time"])))
        return made

    def fold(self, batch: RecordBatch) -> dict[int, DeadLetter]:
        """Fold the next batch of the canonical topic, as the candles worker does; repeats are dropped.

        Returns a dead letter per row that is no trade.
        """
        _, trades, letters = records.read(batch)
        self._candles.apply(trades, 0)
        self._places.fold(batch.tp.partition, {key: self._symbol(key) for key in trades.keys})
        return letters

    def _symbol(self, key: str) -> tuple[str, str]:
        exchange, _, canonical = key.partition(":")
        return exchange, self._native.get(key, canonical)

    def candles(self, size: int) -> Iterator[Rows]:
        """The gold rows by timeframe, at most `size` at once."""
        for route, timeframe in zip(gold.ROUTES, TIMEFRAMES, strict=True):
            windows = sorted(self.windows[timeframe].contents.items())
            for start in range(0, len(windows), size):
                yield Rows(route, self._gold(route, timeframe, windows[start : start + size]))

    def _gold(self, route: Route, timeframe: str, windows: Iterable[tuple[Window, State]]) -> pa.Table:
        keys, values = [], []
        for (key, open_time), state in windows:
            row = to_row(state, key, self._native.get(key, key.partition(":")[2]), timeframe, open_time)
            try:
                values.append(candles.encode(row, _CANDLE_ID))
            except ValueError as error:  # as in the candles worker: it fits the tables only
                logger.error("candle %s %s %d is not in gold: %s", key, timeframe, open_time, error)
                continue
            keys.append(key.encode())
        return route.columns(_batch(route.topic, 0, keys, values))


def _batch(topic: str, partition: int, keys: list[bytes], values: list[bytes]) -> RecordBatch:
    """Records that are in no topic: their offsets and timestamps have no meaning."""
    size = len(values)
    return RecordBatch(
        TP(topic, partition), np.arange(size), np.zeros(size, np.int64), list(keys), list(values)
    )
