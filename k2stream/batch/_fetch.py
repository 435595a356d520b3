"""Columns directly from aiokafka's fetcher: 0.23 µs per record, where a ConsumerRecord costs 0.71 µs."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from math import inf
from time import monotonic, process_time, time
from typing import TYPE_CHECKING, TypeVar

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, OffsetResetStrategy, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError, NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver

from k2stream.batch import _topic_ids as topic_ids
from k2stream.batch import _witness as witness
from k2stream.batch._answers import check_answers
from k2stream.batch._records import TP, RecordBatch
from k2stream.batch.proof import Proof, Shown
from k2stream.model.errors import Unavailable

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import Assignment, ConsumerRecord, FetchRequest, KafkaConsumer
    from k2stream.batch._app import BatchApp
    from k2stream.batch._consumer import Consumer

# A compressed fetch may unpack to far more than its size: it is split after this many records, at the end of
# a broker batch.
MAX_RECORDS = 20_000
# How long the broker waits for new records. A partition that was paused may have to wait for a fetch to end.
FETCH_MAX_WAIT_MS = 100
# After a fetch of this size there is a backlog, and no pause follows.
BACKLOG_BYTES = 1 << 20
# Pauses grow while the process needs more of a core: few records cost 1 to 3 ms per delivery, as many do.
CORE_SHARE = 0.2
NO_GATHER = (0.0, 0.0)
# How long the consumer's thread may take to answer once the worker has failed.
ANSWER_SECONDS = 1.0


T = TypeVar("T")


class ThreadFailed(Unavailable):
    """The consumer's thread has failed and no longer answers calls."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a columnar fetcher for the topics that its consumer selects."""

    app: BatchApp
    consumer: Consumer

    if TYPE_CHECKING:

        def _ensure_consumer(self) -> KafkaConsumer: ...

    def _create_worker_consumer(self, transport: driver.Transport) -> KafkaConsumer:
        consumer: KafkaConsumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # Faust hard-codes 1500
        check_answers(consumer._client)
        self._write_notes(consumer)
        return consumer

    def _write_notes(self, consumer: KafkaConsumer) -> None:
        """Commit each offset with its identity as metadata; Faust commits offsets only."""
        commit = consumer.commit

        async def noted(offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
            found = {
                tp: self.identities.get((tp.topic, tp.partition, given.offset), "")
                for tp, given in offsets.items()
            }
            await commit({tp: OffsetAndMetadata(given.offset, found[tp]) for tp, given in offsets.items()})

        self.identities: dict[tuple[str, int, int], str] = {}
        consumer.commit = noted

    async def on_start(self) -> None:
        await super().on_start()
        if not self.app.client_only:
            install(self._ensure_consumer()._fetcher, self.consumer.is_columnar, self.app.gather_seconds)

    async def on_thread_stop(self) -> None:
        """Stop the consumer while this thread still answers calls, which its last rebalance depends on.

        Stock Faust stops answering first, so that a worker that is stopped during a rebalance never ends.
        """
        if self._consumer is not None:
            await self._consumer.stop()
        await super().on_thread_stop()

    def asked(self, tp: TP) -> float:
        """Return when the last answered fetch of a partition was sent, in monotonic seconds; -inf for none.

        The high-water mark is from the answer to that fetch.
        """
        asked: dict[TP, float] = getattr(self._ensure_consumer()._fetcher, "asked", {})
        return asked.get(tp, -inf)

    async def call_thread(self, fun: Callable[..., Awaitable[T]], *args: object, **kwargs: object) -> T:
        """Call as in Faust, but raise ThreadFailed if the worker has failed and there is no answer.

        A failed thread answers no calls, and stock Faust would wait forever, so that the worker would not
        end.
        """
        call: asyncio.Future[T] = asyncio.ensure_future(super().call_thread(fun, *args, **kwargs))
        try:
            failed = False
            while not call.done():
                if failed:
                    raise ThreadFailed(
                        f"no answer from the consumer's thread: {getattr(fun, '__name__', fun)}"
                    )
                failed = self.crashed or self.consumer.crashed
                await asyncio.wait({call}, timeout=ANSWER_SECONDS)
            return call.result()
        finally:
            call.cancel()

    async def look(self, wanted: Mapping[TP, int]) -> dict[TP, Shown]:
        """Return what the broker retains of partitions, and the record at one offset of each.

        Raises KafkaError without an answer.
        """
        consumer = self._ensure_consumer()
        return await self.call_thread(witness.look_at, consumer, wanted)

    async def records_at(self, wanted: Mapping[TP, int]) -> dict[TP, Proof | None]:
        """Return the record at an offset of each partition. Raises KafkaError without an answer."""
        client = self._ensure_consumer()._client
        return await self.call_thread(witness.records_at, client, wanted)

    async def gone(self, topics: Iterable[str]) -> list[str]:
        """Return the topics that do not exist on the brokers."""
        return await self.call_thread(self._gone, list(topics))

    async def _gone(self, topics: list[str]) -> list[str]:
        client = self._ensure_consumer()._client
        if all(map(client.cluster.partitions_for_topic, topics)):
            return []
        # Only the group leader is sure to have requested the metadata of all these topics.
        try:
            known = (await client.fetch_all_metadata()).topics()
        except KafkaError:
            return []
        return [topic for topic in topics if topic not in known]

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str | None]:
        """Return the ids of topics, as `_topic_ids.ids` does."""
        client = self._ensure_consumer()._client
        _, found = await self.call_thread(topic_ids.ids, client, topics)
        return found

    async def committed(self, tps: Iterable[TP]) -> dict[TP, OffsetAndMetadata]:
        """Return the group's committed offsets with their metadata."""
        coordinator = self._ensure_consumer()._coordinator
        asked = [TopicPartition(*tp) for tp in tps]
        found = await self.call_thread(coordinator.fetch_committed_offsets, asked)
        return {TP(*tp): given for tp, given in found.items()}

    async def is_member(self) -> bool:
        """Whether the worker is still in its group, by a heartbeat; False also if the group is unreachable.

        A worker that was suspended may have been removed.
        """
        try:
            return await self.call_thread(self._heartbeat)
        except ThreadFailed:
            return False
        except RuntimeError:  # the thread's event loop is closed: it has ended
            if not (self.crashed or self.consumer.crashed):
                raise
            return False

    async def _heartbeat(self) -> bool:
        return bool(await self._ensure_consumer()._coordinator._do_heartbeat())


class ColumnFetcher(Fetcher):  # type: ignore[misc]
    """Fetcher that returns RecordBatch items instead of single records for columnar topics.

    Available records are delivered at once. The next fetch from the same broker is sent after a pause between
    the two values of ``gather``, in seconds, and collects what arrived meanwhile. The less CPU the process
    has used since the fetch before, the shorter it is.
    """

    columnar: Callable[[str], bool]
    gather: tuple[float, float]
    used: float = 0.0
    """CPU seconds of the process when the last fetch was sent."""
    asked: dict[TP, float]
    breaks: Counter[TP]
    fresh: int

    async def close(self) -> None:
        """Cancel pending requests without raising their errors, then close as aiokafka does.

        aiokafka raises the cancellation of a request that has barely begun. That ended the consumer's thread
        before it had informed the worker, which then never ended.
        """
        self._fetch_task.cancel()
        await asyncio.wait([self._fetch_task])
        for request in self._pending_tasks:
            request.cancel()
        await asyncio.gather(*self._pending_tasks, return_exceptions=True)
        self._pending_tasks.clear()
        await super().close()

    def _set_error(self, tp: TopicPartition, error: Exception) -> None:
        """Reset a partition without a position as configured; report an offset out of range as an error."""
        if isinstance(error, NoOffsetForPartitionError):
            if (subscription := self._subscriptions.subscription) and subscription.assignment:
                subscription.assignment.state_value(tp).await_reset(self.fresh)
        else:
            super()._set_error(tp, error)

    async def _proc_fetch_request(self, assignment: Assignment, node_id: int, request: FetchRequest) -> bool:
        try:
            return await self._fetch(assignment, node_id, request)
        finally:
            # aiokafka drops the request in a callback of its task. If records are taken just as the task
            # ends, the fetcher looks for work before that callback, finds none, and sleeps for 200 ms.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._look_again)  # runs after that callback

    def _look_again(self) -> None:
        self._notify(self._wait_consume_future)

    async def _fetch(self, assignment: Assignment, node_id: int, request: FetchRequest) -> bool:
        sent, since = monotonic(), int(1000 * time())
        before, self.used = self.used, process_time()
        arrived: bool = await super()._proc_fetch_request(assignment, node_id, request)
        self._note_answers(assignment, request, sent, since)
        size = 0
        # Nobody has read the results yet: there was no await since they were stored.
        for tp, result in self._records.items():
            if type(result) is FetchResult and result.has_more() and self.columnar(tp.topic):
                size += make_columnar(result._partition_records, self.breaks[TP(*tp)])
        if not (arrived and any(self.gather) and size < BACKLOG_BYTES):
            return arrived
        for waiter in self._fetch_waiters:
            self._notify(waiter)
        with suppress(asyncio.CancelledError):  # as in aiokafka: whoever cancels a fetch awaits it
            await asyncio.sleep(pause_of(monotonic() - sent, self.used - before, *self.gather))
        return False  # the waiters are notified already

    def _note_answers(self, assignment: Assignment, request: FetchRequest, sent: float, since: int) -> None:
        """Record for each partition when the answered request was sent, or count a break without an answer.

        An answer shows the state at the time of the request, however late it is read. Without an answer the
        connection was lost or the leader has changed, and the log may differ.
        """
        for topic, partitions in request.topics if assignment.active else ():
            for partition, *_ in partitions:
                state = assignment.state_value(TopicPartition(topic, partition))
                if (state.timestamp or 0) >= since:
                    self.asked[TP(topic, partition)] = sent
                else:
                    self.breaks[TP(topic, partition)] += 1


def pause_of(waited: float, used: float, least: float, most: float) -> float:
    """Seconds to the next fetch, after one that `waited` so long; `used` is CPU since the one before."""
    return min(max(used / CORE_SHARE - waited, least), most)


def install(
    fetcher: Fetcher, columnar: Callable[[str], bool], gather: tuple[float, float] = NO_GATHER
) -> None:
    """Make the fetcher of a started AIOKafkaConsumer deliver ``columnar`` topics as RecordBatch items."""
    fetcher.__class__ = ColumnFetcher
    fetcher.columnar, fetcher.gather, fetcher.asked, fetcher.breaks = columnar, gather, {}, Counter()
    fetcher.used = process_time()
    fetcher.fresh, fetcher._default_reset_strategy = fetcher._default_reset_strategy, OffsetResetStrategy.NONE


def deliver_columns(consumer: KafkaConsumer) -> None:
    """Make a started AIOKafkaConsumer return the records of every topic as RecordBatch items (`getmany`)."""
    install(consumer._fetcher, lambda topic: True)


def make_columnar(records: PartitionRecords, breaks: int = 0) -> int:
    """Replace the record iterator of one fetched partition; returns its bytes, 0 if already replaced."""
    if getattr(records._records_iterator, "gi_code", None) is unpack.__code__:
        return 0
    records._records_iterator = unpack(records, breaks)
    return int(records._records.size_in_bytes())


def unpack(fetched: PartitionRecords, breaks: int = 0) -> Iterator[RecordBatch]:
    """Yield a fetched partition's records by column, for isolation level read_uncommitted.

    Replaces PartitionRecords._unpack_records. Offset ranges without records (transaction markers, compacted
    ranges) belong to the surrounding RecordBatch, or form one without records. Raises CorruptRecordException
    when the checksum of a broker batch is wrong.
    """
    tp = TP(fetched._tp.topic, fetched._tp.partition)
    source = fetched._records
    records: list[ConsumerRecord] = []
    begin = fetched.next_fetch_offset
    while source.has_next():
        batch = source.next_batch()
        if fetched._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(
                f"wrong checksum in {tp.topic}[{tp.partition}] at or after offset {fetched.next_fetch_offset}"
            )
        if not batch.is_control_batch:
            # The first batch may begin before the requested offset.
            start = fetched.next_fetch_offset
            records += batch if batch.base_offset >= start else [r for r in batch if r.offset >= start]
        fetched.next_fetch_offset = batch.next_offset
        if len(records) >= MAX_RECORDS:
            yield RecordBatch.from_records(tp, records, begin, fetched.next_fetch_offset, breaks)
            begin, records = fetched.next_fetch_offset, []
    if fetched.next_fetch_offset > begin:
        yield RecordBatch.from_records(tp, records, begin, fetched.next_fetch_offset, breaks)
