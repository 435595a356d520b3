"""The candle tables: one table of tumbling windows per timeframe, and the progress of each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import faust

from k2stream import topics
from k2stream.batch import WINDOW_GAP, BatchTable
from k2stream.candles.codec import (
    KeyProgress,
    dumps_progress,
    dumps_state,
    loads_progress,
    loads_state,
)
from k2stream.candles.state import State
from k2stream.model.candle import TIMEFRAMES

# Only closed segments are compacted: small ones keep the part that recovery reads short.
_CHANGELOG = {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.1"}

_NAME = "ohlcv_"
WindowKey = tuple[str, tuple[float, float]]
"""Symbol key, then the window's start and end in seconds, as Faust stores them."""

RETENTION = b"retention"
EARLIER_RETENTION = 500
"""The default retention of earlier releases, which did not record it in the changelog."""


@dataclass(frozen=True, slots=True)
class CandleTables:
    """The window tables by timeframe ("1m" is table ohlcv_1m), and the progress table by key."""

    windows: dict[str, BatchTable[WindowKey, State]]
    progress: BatchTable[str, KeyProgress]

    def stores(self, partition: int) -> dict[str, PartitionWindows]:
        """Window stores of one partition, by timeframe."""
        return {
            name: PartitionWindows(self.windows[name], partition, TIMEFRAMES[name]) for name in TIMEFRAMES
        }

    def least_retention(self, partition: int, retention: int) -> int:
        """Smallest retention ever applied to a partition's windows, including `retention`; records it."""
        known = self.progress.fact(partition, RETENTION)
        kept = len(self.progress.partition_items(partition)) and EARLIER_RETENTION
        least = min(int(known or kept or retention), retention)
        self.progress.keep(partition, RETENTION, b"%d" % least)
        return least

    def progress_store(self, partition: int) -> PartitionProgress:
        """The progress store of one partition."""
        return PartitionProgress(self.progress, partition)


def keep_least(table: BatchTable, moves: Iterable[tuple[int, int]]) -> None:
    """Apply the least retention of each partition that keys leave to the one where they go."""
    for before, after in moves:
        known = [int(text) for number in (before, after) if (text := table.fact(number, RETENTION))]
        if table.fact(before, RETENTION):
            table.keep(after, RETENTION, b"%d" % min(known))


def timeframe_of(table: BatchTable) -> str | None:
    """The timeframe of a candle table; None for any other table."""
    timeframe = table.name.removeprefix(_NAME)
    return timeframe if table.name != timeframe and timeframe in TIMEFRAMES else None


def declare(app: faust.App, partitions: int) -> CandleTables:
    """Declare the tables; `partitions` is the partition count of the normalized topic."""
    windows: dict[str, BatchTable[WindowKey, State]] = {}
    for timeframe, length in TIMEFRAMES.items():
        table: BatchTable[WindowKey, State] = BatchTable(
            app,
            name=f"{_NAME}{timeframe}",
            help=f"Candles of {timeframe}, open and closed",
            partitions=partitions,
            dumps_value=dumps_state,
            loads_value=loads_state,
            supersedes=_newer_state,
            source=topics.NORMALIZED,
            extra_topic_configs=_CHANGELOG,
        )
        table.tumbling(length / 1000)
        app.tables.add(table)
        windows[timeframe] = table
    # Flushed only after the windows are durable: see k2stream/candles/partition.py.
    progress: BatchTable[str, KeyProgress] = BatchTable(
        app,
        name="candle_progress",
        help="The last raw offset and the newest trade time applied, by key",
        partitions=partitions,
        dumps_value=dumps_progress,
        loads_value=loads_progress,
        supersedes=_newer_progress,
        flush_stage=1,
        source=topics.NORMALIZED,
        extra_topic_configs=_CHANGELOG,
    )
    app.tables.add(progress)
    return CandleTables(windows, progress)


def _newer_state(new: State, old: State) -> bool:
    return (new.raw_offset, new.final) >= (old.raw_offset, old.final)


def _newer_progress(new: KeyProgress, old: KeyProgress) -> bool:
    return new.raw_offset >= old.raw_offset


@dataclass(frozen=True, slots=True)
class PartitionWindows:
    """The windows of one timeframe in one partition; open times and `length` in ms."""

    table: BatchTable[WindowKey, State]
    partition: int
    length: int

    def get(self, key: str, open_time: int) -> State | None:
        """The state of a window; None where there is none."""
        return self.table.get_from(self.partition, self._key(key, open_time))

    def put(self, key: str, open_time: int, state: State) -> None:
        """Set the state of a window."""
        self.table.put(self.partition, self._key(key, open_time), state)

    def delete(self, key: str, open_time: int) -> None:
        """Delete a window, leaving a tombstone in the changelog."""
        self.table.delete(self.partition, self._key(key, open_time))

    def windows(self) -> Iterator[tuple[str, int, State]]:
        """All windows as (key, open time, state)."""
        for (key, (start, _)), state in self.table.partition_items(self.partition):
            yield key, round(start * 1000), state

    def _key(self, key: str, open_time: int) -> WindowKey:
        """The same key as `batch.window_key` builds, from ms."""
        return key, (open_time / 1000, (open_time + self.length) / 1000 - WINDOW_GAP)


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """The progress of the keys of one partition."""

    table: BatchTable[str, KeyProgress]
    partition: int

    def get(self, key: str) -> KeyProgress | None:
        """The progress of a key; None for a new key."""
        return self.table.get_from(self.partition, key)

    def put(self, key: str, progress: KeyProgress) -> None:
        """Set the progress of a key."""
        self.table.put(self.partition, key, progress)
