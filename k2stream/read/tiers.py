"""Merges the stored candles of several tiers by column: a reference to a row stands for each candle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from k2stream.history.reader import History, MissingTier
from k2stream.history.tiers import CandleSpan
from k2stream.layers.schema import GOLD
from k2stream.model.instrument import Instrument


class RowTier(Protocol):
    """A tier that gives candles as rows with gold's columns; see `history.reader.Tier`."""

    name: str

    def oldest(self, instrument: Instrument, timeframe: str) -> int | None: ...

    def begun(self, instrument: Instrument, timeframe: str) -> int | None: ...

    def latest(self, instrument: Instrument, timeframe: str) -> int | None: ...

    def rows(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> pa.Table: ...


class _Row(NamedTuple):
    open_time: int
    revision: int
    number: int
    """Among all rows of one answer."""


class _Referring:
    """A tier whose candles are references to the rows that it puts into `pieces`."""

    def __init__(self, tier: RowTier, pieces: list[pa.Table]) -> None:
        self.name = tier.name
        self.oldest, self.begun, self.latest = tier.oldest, tier.begun, tier.latest
        self._tier, self._pieces = tier, pieces

    def candles(self, instrument: Instrument, timeframe: str, span: CandleSpan) -> list[_Row]:
        rows = self._tier.rows(instrument, timeframe, span)
        first = sum(map(len, self._pieces))
        self._pieces.append(rows)
        times = rows["open_time"].cast(pa.int64()).to_pylist()
        return list(map(_Row, times, rows["revision"].to_pylist(), range(first, first + len(rows))))


class RowHistory:
    """Stored candles of all ages as rows, warmest tier first; see `history.reader.History`."""

    def __init__(self, tiers: Sequence[RowTier], grace_ms: int) -> None:
        self._pieces: list[pa.Table] = []
        self._history = History([_Referring(tier, self._pieces) for tier in tiers], grace_ms=grace_ms)

    def read(
        self, instrument: Instrument, timeframe: str, span: CandleSpan
    ) -> tuple[pa.Table, tuple[MissingTier, ...]]:
        """The candles of a span, ascending, each in its highest revision; tiers that may have had more."""
        self._pieces.clear()
        found = self._history.read(instrument, timeframe, span)
        rows = pa.concat_tables([GOLD.empty_table(), *self._pieces])
        self._pieces.clear()
        numbers = pa.array([row.number for row in found.candles], pa.int64())
        return rows.take(numbers), found.missing
