"""The delivery contract of every sink.

A sink reads batches, converts them to rows, and buffers these per table. By size, time or demand, a table's
buffer becomes a batch of fixed offset ranges. The batch is written until the destination has it, however long
the destination is unavailable; then its positions are saved, and only then are its records acknowledged to
Kafka. Nothing is dropped: unwritten rows block further reading (the topic's `max_unacked`), an unreadable
record becomes a dead letter (k2stream/faults.py) before its position is saved, and any other error stops the
worker with nothing acknowledged. A destination that lost rows gets them again (anchors.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from k2stream import metrics
from k2stream.batch import RecordBatch
from k2stream.deadletter import DeadLetter
from k2stream.delivery.anchors import Anchors, Check, unchecked
from k2stream.delivery.buffer import Acknowledge, Table
from k2stream.delivery.buffer import Rows as Rows
from k2stream.delivery.destination import Destination as Destination
from k2stream.delivery.destination import DestinationUnavailable as DestinationUnavailable
from k2stream.delivery.destination import MissingRows as MissingRows
from k2stream.delivery.destination import Policy as Policy
from k2stream.delivery.destination import WentBack
from k2stream.delivery.destination import backoff as backoff
from k2stream.delivery.observed import observe
from k2stream.delivery.progress import OffsetGap, SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.delivery.unsaved import Unsaved
from k2stream.tracing import Tracer

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0

Result = TypeVar("Result")


class Sink:
    """Delivers the records of routes to one destination."""

    def __init__(
        self,
        destination: Destination,
        policy: Policy,
        earliest: Callable[[SourcePartition], Awaitable[int]],
        go_back: Callable[[Mapping[SourcePartition, int], Callable[[], None]], Awaitable[None]],
        bury: Callable[[Sequence[DeadLetter]], Awaitable[None]] | None = None,
        passed: Callable[[], Sequence[tuple[Route, Mapping[SourcePartition, int]]]] = list,
        check: Check = unchecked,
        tracer: Tracer | None = None,
    ) -> None:
        """`earliest` returns the first offset of a partition that Kafka retains; `check` is as in Anchors.

        `go_back` makes the consumer read partitions again from given offsets, and all others from the
        acknowledged ones; it calls its second argument once deliveries have stopped. `bury` makes dead
        letters durable. `passed` returns the group's committed offsets of the partitions assigned here, by
        route.
        """
        self._destination, self._policy, self._go_back = destination, policy, go_back
        self._anchors = Anchors(destination, earliest, self._retry, check)
        self._bury, self._passed, self._tracer = bury, passed, tracer
        self._tables: dict[str, Table] = {}
        self._unsaved = Unsaved(destination)
        self._saved_at = self._checked_at = time.monotonic()
        self._lock = asyncio.Lock()
        self._changed, self._arrived = asyncio.Event(), asyncio.Event()
        self._assignment_epoch = 0
        self._closing = self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sink")

    # Reading

    async def consume(self, stream: Any, route: Route) -> None:
        """The body of an agent: takes every event of the stream, and acknowledges it once it is durable."""
        manual = stream.noack()
        async for event in manual.events():
            await self.put(route, event.value, partial(manual.ack, event))

    async def put(self, route: Route, batch: RecordBatch, acknowledge: Acknowledge) -> None:
        """Buffer one delivery. Raises MissingRows when offsets before it were never written."""
        if self._anchors.returning:
            return  # the consumer is about to go back and delivers this again
        epoch = self._assignment_epoch
        table = self._table(route)
        partition = SourcePartition(batch.tp.topic, batch.tp.partition)
        if table.arrived(partition) is None:
            await self._assign(table, partition, batch.first_offset)
        if epoch != self._assignment_epoch or table.arrived(partition) is None:
            return  # after a rebalance or a step back, the batch is delivered again
        try:
            await table.put(partition, batch, acknowledge)
        except OffsetGap as hole:
            raise MissingRows(
                f"{route.table}: {hole}, and those between were not read: start the worker again"
            ) from None
        self._changed.set()
        self._arrived.set()

    def _table(self, route: Route) -> Table:
        if route.table not in self._tables:
            self._tables[route.table] = Table(route, self._policy.max_bytes // 16)
            metrics.SINK_ERRORS.labels(route.table)  # from 0 on: an increase of what appears is not seen
        return self._tables[route.table]

    async def _assign(self, table: Table, partition: SourcePartition, first: int) -> None:
        async with self._lock:
            if table.arrived(partition) is not None:
                return
            await self._save()
            position = await self._anchors.begin(table.route, partition, first)
            if position is not None:
                table.assign(partition, position)
            self._changed.set()

    def reset(self) -> None:
        """Call it before a rebalance: drops what is not durable, which will be read again."""
        self._anchors.reset()
        self._forget()

    def _gone_back(self) -> None:
        self._anchors.gone_back()
        self._forget()

    def _forget(self) -> None:
        self._assignment_epoch += 1
        for table in self._tables.values():
            table.reset()
        self._unsaved.disown()

    async def durable(self, route: Route) -> Mapping[int, SinkPosition]:
        """The durable position of each partition of the route's topic; empty when the sink closes first."""
        async with self._lock:
            return await self._retry(route.table, partial(self._destination.positions, route)) or {}

    async def reached(self, offsets: Mapping[SourcePartition, int], seconds: float) -> bool:
        """Wait until all records up to the offsets were read; False after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while any(self._read(partition) < offset for partition, offset in offsets.items()):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    def _read(self, partition: SourcePartition) -> int:
        found = [table.arrived(partition) for table in self._tables.values()]
        return max((offset for offset in found if offset is not None), default=-1)

    # Writing

    async def run(self) -> None:
        """Write what is due until the sink is closed: one table at a time, as something may always be due."""
        while not self._closing:
            await self._wait()
            async with self._lock:
                await self._turn()
            await self._return()

    async def _turn(self) -> None:
        """Do what is due, unless the sink was closed meanwhile."""
        if self._closing:
            return
        if (table := self._due()) is not None:
            await self._write(table)
        if self._unsaved and time.monotonic() >= self._saved_at + self._policy.save_seconds:
            await self._save()
        if time.monotonic() >= self._checked_at + self._policy.check_seconds:
            await self._check()

    async def flush(self) -> dict[str, int]:
        """Write everything that is buffered now; returns the rows added per table."""
        async with self._lock:
            added = {name: await self._write(table) or 0 for name, table in list(self._tables.items())}
            await self._save()
        await self._return()
        return {name: rows for name, rows in added.items() if rows}

    async def close(self) -> None:
        """Write and acknowledge what is buffered, if the destination is available; then release it."""
        self._closing = True
        self._changed.set()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
        except TimeoutError:
            logger.warning("closing with unwritten rows: they are read again at the next start")
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._destination.close()

    async def _wait(self) -> None:
        tables = self._tables.values()
        deadlines = [self._policy.deadline(table) for table in tables if table.since]
        if self._unsaved:
            deadlines.append(self._saved_at + self._policy.save_seconds)
        deadlines.append(self._checked_at + self._policy.check_seconds)
        self._changed.clear()
        timeout = min(deadlines) - time.monotonic()
        if self._due() is None and not self._anchors.returning and timeout > 0:
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                pass  # something is due

    def _due(self) -> Table | None:
        """The table that is overdue longest; else, above the byte limit, the largest one."""
        policy, now, tables = self._policy, time.monotonic(), list(self._tables.values())
        due = [
            table
            for table in tables
            if table.since and (now >= policy.deadline(table) or table.records >= policy.max_rows)
        ]
        if due:
            return min(due, key=policy.deadline)
        largest = max(tables, key=lambda table: table.bytes, default=None)
        return largest if largest and policy.is_full(tables, largest, now) else None

    async def _write(self, table: Table) -> int | None:
        """Write one table's buffer; returns the rows added, None when it was empty or was abandoned."""
        await table.convert()
        while letters := table.take_letters():  # positions will pass them: they must be durable first
            if self._bury is None:
                raise ValueError(letters[0].cause)
            await self._bury(letters)
        batch = table.take()
        if batch is None:
            return None
        name = table.route.table
        with metrics.SINK_FLUSH.labels(name).time():
            write = partial(self._destination.write, table.route, batch)
            try:
                added = await self._retry(name, write, partial(table.progress.holds, batch))
            except WentBack as error:
                await self._anchors.compare(error.found)
                return None
        if added is None:
            return None
        self._unsaved.add(table.route, batch, table.progress.done(batch))
        metrics.SINK_ROWS.labels(name).inc(added)
        metrics.SINK_WRITTEN.labels(name, table.route.topic).set_to_current_time()
        observe(table.route, batch, self._tracer)
        if self._unsaved.rows >= self._policy.max_rows:
            await self._save()
        return added

    async def _save(self) -> None:
        """Save the positions of written batches, then acknowledge these."""
        if not self._unsaved:
            return
        moved = self._unsaved.moves
        try:
            if await self._retry("sink_positions", partial(self._unsaved.save, moved)) is None:
                return
        except WentBack as error:
            self._saved_at = time.monotonic()
            self._unsaved.drop(await self._anchors.compare(error.found))
            return
        self._anchors.confirm(moved)
        self._saved_at = time.monotonic()
        for written in self._unsaved.take():
            for acknowledge in written.receipts:
                await acknowledge()

    async def _check(self) -> None:
        """Check that the destination still has its rows, also for partitions without new records."""
        for route, passed in self._passed():
            begun = self._table(route).arrived
            await self._anchors.look(route, {at: end for at, end in passed.items() if begun(at) is None})
        for table in list(self._tables.values()):
            await self._anchors.check(table.route)
        self._checked_at = time.monotonic()

    async def _return(self) -> None:
        """Make the consumer go back where the destination did; not under the lock: agents may wait for it."""
        if self._anchors.returning and not self._closing:
            await self._go_back(dict(self._anchors.returning), self._gone_back)

    async def _retry(
        self, what: str, call: Callable[[], Result], wanted: Callable[[], bool] = lambda: True
    ) -> Result | None:
        """The call's result; None when it failed and is no longer wanted, or when the sink is closing."""
        for delay in backoff():
            if self._closed:
                return None
            try:
                return await self._answer(call)
            except DestinationUnavailable as error:
                self._unsaved.doubt()
                metrics.SINK_ERRORS.labels(what).inc()
                logger.warning("%s: %s; trying again in %.1f s", what, error, delay, extra={"table": what})
            if self._closing or not wanted():
                return None
            await asyncio.sleep(delay)
        return None

    async def _answer(self, call: Callable[[], Result]) -> Result | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except Exception:
            if self._closed:  # its connection was closed under the call
                return None
            raise
