"""Writes to topics outside of a worker, acknowledged by all replicas and without duplicates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from k2stream.batch import TP
from k2stream.settings import KafkaSettings

EMPTY_RECORDS = 100_000
"""Records per batch that only occupies offsets; compressed, such a batch is a few hundred bytes."""

_BATCH_BYTES = 8 << 20

Header = tuple[str, bytes]


class DurableProducer:
    """Sends in order per partition; a record is durable once the result of `send` was awaited."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Iterable[Header] = (),
    ) -> Awaitable[Any]:
        """Queue a record; awaiting the result gives its metadata (`.partition`, `.offset`) once durable."""
        sent: Awaitable[Any] = await self._producer.send(
            topic, value, key, partition, headers=list(headers) or None
        )
        return sent

    async def flush(self) -> None:
        """Wait until everything that was sent is durable."""
        await self._producer.flush()

    async def occupy(self, tp: TP, end: int, until: int) -> int:
        """Append empty records to a log that ends at `end`, to occupy offsets below `until`; its new end."""
        while end < until:
            end = await self._append_empty(tp, until - end)
        return end

    async def _append_empty(self, tp: TP, count: int) -> int:
        batch = self._producer.create_batch()
        for _ in range(min(EMPTY_RECORDS, count)):
            if batch.append(timestamp=None, key=None, value=None) is None:
                break
        taken: int = batch.record_count()
        sent = await (await self._producer.send_batch(batch, tp.topic, partition=tp.partition))
        return int(sent.offset) + taken


@asynccontextmanager
async def producing(settings: KafkaSettings, *, compressed: bool = False) -> AsyncIterator[DurableProducer]:
    """A producer for the context's time; `compressed` is for large batches that compress well."""
    options: dict[str, Any] = {**settings.connection, "acks": "all", "enable_idempotence": True}
    if compressed:
        options |= {"compression_type": "gzip", "max_batch_size": _BATCH_BYTES}
    producer = AIOKafkaProducer(**options)
    try:
        await producer.start()
        yield DurableProducer(producer)
    finally:
        await producer.stop()
