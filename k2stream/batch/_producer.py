"""Producer of record batches; its flush is the barrier before every offset commit."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import TYPE_CHECKING, Any, cast

from aiokafka import TopicPartition
from faust.exceptions import ProducerSendError
from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import ProducerBuffer
from faust.types import FutureMessage, HeadersArg, RecordMetadata

from k2stream.batch._building import Built, Headers, Timestamps, build, extend

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import WaitingBatch
    from k2stream.batch._app import BatchApp
    from k2stream.batch._changes import Changes
    from k2stream.batch._table import BatchTable


def _now_ms() -> int:
    return int(time() * 1000)


class Producer(driver.Producer):
    """Faust's aiokafka producer, idempotent and with acks=all, that tracks every delivery.

    ``max_in_flight`` limits the bytes of batches sent and not acknowledged by the broker. A send of at most
    ``join_records`` records joins the batch that still waits behind another of its partition: brokers and
    readers have a fixed cost per request and batch.
    """

    max_in_flight = 32 << 20
    join_records = 1000
    app: BatchApp
    buffer: ProducerBuffer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failure: BaseException | None = None
        self.delivered: dict[tuple[str, int], int] = {}
        """By topic and partition: the offset of the newest batch that the broker has acknowledged."""
        self._tables: list[BatchTable] = []
        self._before_flush: list[Callable[[], Awaitable[None]]] = []
        self._outstanding: set[asyncio.Future[RecordMetadata]] = set()
        self._in_flight = 0
        self._room = asyncio.Event()
        self._flushing = asyncio.Lock()
        # Faust's buffer removes a message before it sends it: count the messages in between.
        self._buffered_sends = self._handed_over = 0
        self._send_buffered = self.buffer._send_pending
        self.buffer._send_pending = self._count_buffered_send  # type: ignore[method-assign, assignment]
        self.buffer.max_messages = 10_000

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def register_table(self, table: BatchTable) -> None:
        """Register a table whose changes are written at every flush."""
        if not any(known is table for known in self._tables):  # tables compare by content
            self._tables.append(table)

    def before_flush(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Await ``callback`` at every flush, right before the table changes are taken.

        It must send the outputs of those changes that are still buffered, and return only when none is left.
        """
        if callback not in self._before_flush:
            self._before_flush.append(callback)

    # Sending

    async def send_columns(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Timestamps | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Send records as batches of at most ``producer_max_batch_size`` bytes, in order.

        ``timestamps`` are in ms since 1970, one for all records or one per record; the default is now.
        Retention counts from the timestamp: a record with an old one may be deleted before it is read.
        ``headers`` are added to every record. Returns before the broker has acknowledged (``barrier`` waits
        for that), but waits while ``max_in_flight`` bytes are outstanding. Raises RecordTooLarge or
        ValueError (columns of different length) before anything is sent, ProducerSendError when this or an
        earlier delivery failed.
        """
        self._check_failure()
        timestamps = _now_ms() if timestamps is None else timestamps
        waiting = self._waiting(topic, partition)
        if waiting is not None and not headers and len(values) <= self.join_records:
            builder = waiting._builder
            size = builder.size()
            if extend(builder, self.max_batch_size, keys, values, timestamps):
                added = builder.size() - size
                self._in_flight += added
                self._track(waiting.future, added)
                return
        await self._send(topic, partition, keys, values, timestamps, headers)

    def _waiting(self, topic: str, partition: int) -> WaitingBatch | None:
        """Return a partition's newest batch that is not yet sent; None without one, or without room."""
        batches = self._ensure_producer()._message_accumulator._batches
        waiting = batches.get(TopicPartition(topic, partition))
        return waiting[-1] if waiting and self._in_flight < self.max_in_flight else None

    async def _send(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Timestamps,
        headers: Headers | None = None,
    ) -> list[tuple[asyncio.Future[RecordMetadata], int]]:
        self._check_failure()
        create = self._ensure_producer().create_batch
        try:
            batches = build(create, self.max_batch_size, keys, values, timestamps, headers)
        except ValueError as exc:
            raise type(exc)(f"to {topic}[{partition}]: {exc}") from exc
        return [(await self._ship(batch, topic, partition), batch.records) for batch in batches]

    async def _ship(self, batch: Built, topic: str, partition: int) -> asyncio.Future[RecordMetadata]:
        size = batch.builder.size()
        while self._in_flight and self._in_flight + size > self.max_in_flight:
            self._room.clear()
            await self._room.wait()
            self._check_failure()
        self._in_flight += size
        try:
            future: asyncio.Future[RecordMetadata] = await self._ensure_producer().send_batch(
                batch.builder, topic, partition=partition
            )
        except BaseException as exc:
            self._in_flight -= size
            if not isinstance(exc, Exception):
                raise  # cancelled before the batch was taken
            self.fail(exc)
            raise ProducerSendError(f"sending to {topic}[{partition}]: {exc!r}") from exc
        self._track(future, size)
        return future

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Send a single message as Faust does, tracked like a batch even if the caller ignores the result."""
        self._check_failure()
        sent = await super().send(
            topic, key, value, partition, timestamp, headers, transactional_id=transactional_id
        )
        future = cast("asyncio.Future[RecordMetadata]", sent)
        self._track(future, 0)
        return asyncio.shield(future)

    async def _count_buffered_send(self, message: FutureMessage) -> None:
        self._buffered_sends += 1
        try:
            await self._send_buffered(message)
        finally:
            self._buffered_sends -= 1
            self._handed_over += 1

    def _track(self, future: asyncio.Future[RecordMetadata], size: int) -> None:
        def done(future: asyncio.Future[RecordMetadata]) -> None:
            self._outstanding.discard(future)
            self._in_flight -= size
            self._room.set()
            if future.cancelled():
                return
            if (error := future.exception()) is not None:
                self.fail(error)
            else:
                found = future.result()
                self.delivered[found.topic, found.partition] = found.offset

        self._outstanding.add(future)
        future.add_done_callback(done)

    # Failure

    def fail(self, error: BaseException) -> None:
        """Refuse all further sends, flushes and therefore offset commits."""
        if self.failure is None:
            self.failure = error
        self._room.set()

    def _check_failure(self) -> None:
        if self.failure is not None:
            raise ProducerSendError(f"refused after {self.failure!r}") from self.failure

    # Barrier

    async def flush(self) -> None:
        """Like ``barrier``, but a worker that is stopping only logs an error, in order to finish stopping."""
        try:
            await self.barrier()
        except ProducerSendError as exc:
            if not self.app.should_stop:
                raise
            self.log.error("Not flushed: %s", exc)

    async def barrier(self) -> None:
        """Make durable first everything sent so far, then the table changes made so far.

        Cancelling the caller does not stop a flush that has begun. Raises ProducerSendError and errors of the
        tables' encoders.
        """
        if self._producer is not None:
            await asyncio.shield(asyncio.ensure_future(self._flush_all()))

    async def _flush_all(self) -> None:
        async with self._flushing:
            self._check_failure()
            try:
                for callback in self._before_flush:
                    await callback()
                # No await in between: everything sent by now must be durable before the changes taken now.
                last, outputs = self._last_buffered(), list(self._outstanding)
                changes = [(table, change) for table in self._tables for change in table.take_changes()]
                if self._handed_over < last:
                    await self._until_handed_over(last)
                    outputs = list(self._outstanding)
                await self._delivered(outputs)
                for stage in sorted({table.flush_stage for table, _ in changes}):
                    await self._write([item for item in changes if item[0].flush_stage == stage])
            except Exception as exc:
                self.fail(exc)
                raise

    async def _write(self, changes: list[tuple[BatchTable, Changes]]) -> None:
        """Write table changes and wait until they are durable."""
        written = [(table, change, await self._send_changes(table, change)) for table, change in changes]
        await self._delivered([future for *_, batches in written for future, _ in batches])
        for table, change, batches in written:
            future, records = batches[-1]
            table.on_durable(change, future.result().offset + records - 1)

    def _last_buffered(self) -> int:
        """The number of the newest message in the buffer, which is a queue; they are counted from 1."""
        return self._handed_over + self._buffered_sends + self.buffer.size

    async def _until_handed_over(self, last: int) -> None:
        """Wait until the client has a buffered message; further ones may come all the time."""
        while self._handed_over < last:
            self.buffer.message_sent.clear()
            await self.buffer.message_sent.wait()
            self._check_failure()

    async def _delivered(self, futures: list[asyncio.Future[RecordMetadata]]) -> None:
        if futures:
            await asyncio.wait(futures)
            await asyncio.sleep(0)  # let the done callbacks record a failure
        self._check_failure()

    async def _send_changes(
        self, table: BatchTable, changes: Changes
    ) -> list[tuple[asyncio.Future[RecordMetadata], int]]:
        topic = table.changelog_topic_name
        return await self._send(topic, changes.partition, changes.keys, changes.values, _now_ms())
