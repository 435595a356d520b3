"""Producer of record batches; its flush is the barrier before every offset commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import repeat
from time import time
from typing import TYPE_CHECKING, Any

from faust.exceptions import ProducerSendError
from faust.transport.drivers import aiokafka as driver

if TYPE_CHECKING:
    from k2stream.batch.table import BatchTable, Changes

# Bytes of a record beside key, value and headers, at most (varint lengths, offset and timestamp deltas).
RECORD_OVERHEAD = 36


class RecordTooLarge(ValueError):
    """A single record does not fit the largest batch."""


class Producer(driver.Producer):
    """Faust's aiokafka producer, idempotent with acks=all, that never loses sight of a delivery.

    ``max_in_flight`` bounds the bytes sent by ``send_columns`` and not acknowledged by the broker.
    """

    max_in_flight = 32 << 20

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.failure: BaseException | None = None
        self._tables: list[BatchTable] = []
        self._outstanding: set[asyncio.Future[Any]] = set()
        self._in_flight = 0
        self._room = asyncio.Event()
        self._flushing = asyncio.Lock()
        # Faust's buffer takes a message out before it is sent: count those in between.
        self._buffered_sends = 0
        self._send_buffered = self.buffer._send_pending  # noqa: SLF001
        self.buffer._send_pending = self._count_buffered_send  # noqa: SLF001
        self.buffer.max_messages = 10_000

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def register_table(self, table: BatchTable) -> None:
        """Write the changes of ``table`` at every flush."""
        if table not in self._tables:
            self._tables.append(table)

    # Sending

    async def send_columns(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: int | Sequence[int],
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> None:
        """Send records as record batches of at most ``producer_max_batch_size`` bytes, in order.

        ``timestamps`` are ms since 1970, one for all or one each; ``headers`` go on every record. Returns before the
        broker acknowledged (``flush`` waits for that), but waits while ``max_in_flight`` bytes are outstanding.
        Raises RecordTooLarge before anything is sent, ProducerSendError if this or an earlier delivery failed.
        """
        await self._send_columns(topic, partition, keys, values, timestamps, headers)

    async def _send_columns(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: int | Sequence[int],
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> list[tuple[asyncio.Future[Any], int]]:
        self._check_failure()
        self._check_sizes(topic, partition, keys, values, headers)
        extra = list(headers or ())
        times = repeat(timestamps) if isinstance(timestamps, int) else timestamps
        sent = []
        builder = self._ensure_producer().create_batch()
        append, count = builder._builder.append, 0  # noqa: SLF001  BatchBuilder.append costs three times as much
        for key, value, timestamp in zip(keys, values, times, strict=False):
            if append(count, timestamp, key, value, extra) is None:
                sent.append((await self._ship(builder, topic, partition, count), count))
                builder = self._ensure_producer().create_batch()
                append, count = builder._builder.append, 0  # noqa: SLF001
                append(count, timestamp, key, value, extra)
            count += 1
        if count:
            sent.append((await self._ship(builder, topic, partition, count), count))
        return sent

    def _check_sizes(
        self,
        topic: str,
        partition: int,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[tuple[str, bytes]] | None,
    ) -> None:
        if len(keys) != len(values):
            raise ValueError(
                f"send_columns to {topic}[{partition}]: {len(keys)} keys but {len(values)} values"
            )
        fixed = RECORD_OVERHEAD + sum(len(name) + len(value) + 10 for name, value in headers or ())
        for index, (key, value) in enumerate(zip(keys, values, strict=True)):
            size = fixed + len(value or b"") + len(key or b"")
            if size > self.max_batch_size:
                raise RecordTooLarge(
                    f"record {index} for {topic}[{partition}] has {size} bytes, more than producer_max_batch_size "
                    f"({self.max_batch_size}); its key is {key!r:.100}"
                )

    async def _ship(self, builder: Any, topic: str, partition: int, count: int) -> asyncio.Future[Any]:
        builder._relative_offset = count  # noqa: SLF001
        builder.close()
        size = builder.size()
        while self._in_flight and self._in_flight + size > self.max_in_flight:
            self._room.clear()
            await self._room.wait()
        self._check_failure()
        self._in_flight += size
        try:
            future = await self._ensure_producer().send_batch(builder, topic, partition=partition)
        except Exception as exc:
            self._in_flight -= size
            self.fail(exc)
            raise ProducerSendError(f"sending to {topic}[{partition}]: {exc!r}") from exc
        self._track(future, size)
        return future

    async def send(self, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Faust's send of a single message, tracked like a batch."""
        self._check_failure()
        future: asyncio.Future[Any] = await super().send(*args, **kwargs)
        self._track(future, 0)
        return future

    async def _count_buffered_send(self, message: Any) -> None:
        self._buffered_sends += 1
        try:
            await self._send_buffered(message)
        finally:
            self._buffered_sends -= 1

    def _track(self, future: asyncio.Future[Any], size: int) -> None:
        def done(future: asyncio.Future[Any]) -> None:
            self._outstanding.discard(future)
            self._in_flight -= size
            self._room.set()
            if not future.cancelled() and (error := future.exception()) is not None:
                self.fail(error)

        self._outstanding.add(future)
        future.add_done_callback(done)

    # Failure

    def fail(self, error: BaseException) -> None:
        """Refuse everything from now on: sends, flushes and with them offset commits."""
        if self.failure is None:
            self.failure = error
        self._room.set()

    def _check_failure(self) -> None:
        if self.failure is not None:
            raise ProducerSendError(f"an earlier delivery failed: {self.failure!r}") from self.failure

    # Barrier

    async def flush(self) -> None:
        """``barrier``, except that a worker that is stopping after a failure only logs it, to finish stopping."""
        try:
            await self.barrier()
        except ProducerSendError as exc:
            if not self.app.should_stop:
                raise
            self.log.error("Not flushed: %s", exc)

    async def barrier(self) -> None:
        """Make durable everything sent before, then the table changes made before; raise ProducerSendError if not.

        A cancelled caller does not stop a flush that has begun.
        """
        if self._producer is not None:
            await asyncio.shield(asyncio.ensure_future(self._barrier()))

    async def _barrier(self) -> None:
        async with self._flushing:
            self._check_failure()
            while self.buffer.size or self._buffered_sends:
                self.buffer.message_sent.clear()
                await self.buffer.message_sent.wait()
            # One instant: what is sent by now comes before the changes taken now.
            outputs = list(self._outstanding)
            changes = [change for table in self._tables for change in table.take_changes()]
            if outputs:
                await asyncio.wait(outputs)
            self._check_failure()
            written = [(change, await self._send_changes(change)) for change in changes]
            deliveries = [future for _, batches in written for future, _ in batches]
            if deliveries:
                await asyncio.wait(deliveries)
            self._check_failure()
            for change, batches in written:
                future, count = batches[-1]
                change.table.on_changes_durable(change.partition, future.result().offset + count - 1)

    async def _send_changes(self, changes: Changes) -> list[tuple[asyncio.Future[Any], int]]:
        topic = changes.table.changelog_topic_name
        return await self._send_columns(
            topic, changes.partition, changes.keys, changes.values, int(time() * 1000)
        )
