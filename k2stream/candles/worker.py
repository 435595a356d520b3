"""The candles of a worker: applies batches and the clock to its partitions."""

from __future__ import annotations

from collections.abc import Callable, Collection

from k2stream import deadletter, metrics, topics
from k2stream.batch import RecordBatch
from k2stream.candles import records
from k2stream.candles.partition import CandlePartition
from k2stream.candles.publisher import CandlePublisher
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.roles import Role
from k2stream.model.trade import CandleInput
from k2stream.tracing import Traced, Tracer


class CandleWorker:
    """Folds the partitions that the worker owns. `now` returns the wall clock in µs.

    `restore(partition, now)` creates a partition's candles from its tables. The REST interface serves
    `partitions`.
    """

    def __init__(
        self,
        publisher: CandlePublisher,
        restore: Callable[[int, int], CandlePartition],
        now: Callable[[], int],
        tracer: Tracer | None = None,
    ) -> None:
        self.partitions: dict[int, CandlePartition] = {}
        self._publisher = publisher
        self._restore = restore
        self._now = now
        self._tracer = tracer

    def recover(self, owned: Collection[int]) -> None:
        """Start from the tables of the owned partitions, and discard what is buffered of others."""
        now = self._now()
        self._publisher.forget(frozenset(owned))
        self.partitions.clear()
        for number in owned:
            self.partitions[number] = self._restore(number, now)

    def take(self, batch: RecordBatch) -> None:
        """Fold a batch. Tables and publisher change without an await, so that no flush can intervene."""
        now = self._now()
        good, trades, letters = records.read(batch)
        changes = self.partitions[batch.tp.partition].apply(trades, now)
        self._publisher.hold(batch.tp.partition, changes.updated)
        for letter in letters.values():
            self._publisher.hold_record(topics.DLQ, letter.topic.encode(), deadletter.encode(letter))
            metrics.REJECTED.labels(topics.label_of(letter.exchange), "candles").inc()
        for row in changes.late.tolist():
            self._publisher.hold_record(topics.LATE, good.keys[row] or b"", good.values[row] or b"")
            metrics.LATE_TRADES.labels(_label(trades, row)).inc()
        for row in changes.ahead.tolist():
            metrics.TRADES_AHEAD.labels(_label(trades, row)).inc()
        metrics.REPLAYED.labels("candles").inc(changes.replayed)
        folded = self._now()
        metrics.observe_latency("candle", (folded - trades.receive_time) / 1e6)
        if self._tracer is not None:
            passed = Traced(trades.keys, trades.key, trades.raw_partition, trades.raw_offset)
            published = good.timestamps * 1000
            self._tracer.passed(Role.CANDLES, passed, published, folded)

    def close_silent(self, read_to_end: Callable[[int], bool]) -> None:
        """Close windows of idle keys in fully consumed partitions, and update the metric of open windows."""
        now = self._now()
        for number, partition in self.partitions.items():
            if read_to_end(number):
                self._publisher.hold(number, partition.close_silent(now))
        open_windows = [partition.windows.open_counts() for partition in self.partitions.values()]
        for timeframe in TIMEFRAMES:
            metrics.OPEN_WINDOWS.labels(timeframe).set(sum(counts[timeframe] for counts in open_windows))

    async def drain(self, *, ready: bool) -> None:
        """Before a flush of the tables, publish everything; with `ready`, also drop expired windows."""
        await self._publisher.drain()
        if ready:
            for partition in self.partitions.values():
                partition.expire()


def _label(trades: CandleInput, row: int) -> str:
    """The label in metrics of a trade's exchange."""
    return topics.label_of(trades.keys[trades.key[row]].partition(":")[0])
