"""The candles of a worker: its partitions, what a batch does to them, and what the clock does."""

from __future__ import annotations

from collections.abc import Callable, Collection

from k2stream import deadletter, metrics, topics
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.candles.partition import CandlePartition
from k2stream.candles.publisher import CandlePublisher
from k2stream.model.candle import TIMEFRAMES


class CandleWorker:
    """Folds the partitions that the worker owns. `now` gives µs of the wall clock.

    `restore(partition, now)` makes one from what its tables hold. `partitions` is what REST serves.
    """

    def __init__(
        self,
        publisher: CandlePublisher,
        restore: Callable[[int, int], CandlePartition],
        now: Callable[[], int],
    ) -> None:
        self.partitions: dict[int, CandlePartition] = {}
        self._publisher = publisher
        self._restore = restore
        self._now = now

    def recover(self, owned: Collection[int]) -> None:
        """Start from the tables of the partitions that the worker has now; drop what is held of others."""
        now = self._now()
        self._publisher.forget(frozenset(owned))
        self.partitions.clear()
        for number in owned:
            self.partitions[number] = self._restore(number, now)

    def take(self, batch: RecordBatch) -> None:
        """Fold a batch: tables and what is held to be published change in one instant, no flush between."""
        now = self._now()
        good, trades, letters = records.read(batch)
        changes = self.partitions[batch.tp.partition].apply(trades, now)
        self._publisher.hold(batch.tp.partition, changes.updated)
        for letter in letters.values():
            self._publisher.hold_record(topics.DLQ, letter.topic.encode(), deadletter.encode(letter))
            metrics.REJECTED.labels(letter.exchange, "candles").inc()
        for row in changes.late.tolist():
            self._publisher.hold_record(topics.LATE, good.keys[row] or b"", good.values[row] or b"")
            metrics.LATE_TRADES.labels(trades.keys[trades.key[row]].partition(":")[0]).inc()
        for row in changes.ahead.tolist():
            metrics.TRADES_AHEAD.labels(trades.keys[trades.key[row]].partition(":")[0]).inc()
        metrics.REPLAYED.labels("candles").inc(changes.replayed)
        metrics.observe_latency("candle", (self._now() - trades.receive_time) / 1e6)

    def close_silent(self, read_to_end: Callable[[int], bool]) -> None:
        """Close silent windows of the partitions that are read to their end; count what stays open."""
        now = self._now()
        for number, partition in self.partitions.items():
            if read_to_end(number):
                self._publisher.hold(number, partition.close_silent(now))
        open_windows = [partition.windows.open_counts() for partition in self.partitions.values()]
        for timeframe in TIMEFRAMES:
            metrics.OPEN_WINDOWS.labels(timeframe).set(sum(counts[timeframe] for counts in open_windows))

    async def drain(self, *, ready: bool) -> None:
        """Before a flush of the tables: publish what is held; with `ready`, old windows expire."""
        await self._publisher.drain()
        if ready:
            for partition in self.partitions.values():
                partition.expire()
