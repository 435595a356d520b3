"""Reads offset ranges of topics without a group: record by record, or in bulk by column."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from k2stream.batch import TP, deliver_columns, look_at
from k2stream.batch.proof import Shown
from k2stream.kafka.client import all_there, start
from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings

OffsetRanges = Mapping[int, tuple[int, int]]
"""By partition: the first offset, and the offset after the last."""


class Reader:
    """A client without a group; an async context manager. With `columnar`, it reads RecordBatch objects."""

    def __init__(self, settings: KafkaSettings, *, columnar: bool = False) -> None:
        self._consumer = AIOKafkaConsumer(
            **settings.connection,
            max_poll_records=20_000,
            enable_auto_commit=False,
            auto_offset_reset="none",
        )
        self._columnar = columnar

    async def __aenter__(self) -> Self:
        await start(self._consumer)
        # A client that is stopped before its own tasks have begun is cancelled by them.
        await asyncio.sleep(0)
        if self._columnar:
            deliver_columns(self._consumer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def exists(self, topic: str) -> bool:
        """Whether the broker has the topic."""
        return topic in await self._consumer.topics()

    async def retained(self, topic: str, partitions: int) -> OffsetRanges:
        """The offset ranges that the broker retains now. Raises ConfigError when the topic does not exist."""
        if not await self.exists(topic):
            raise ConfigError(f"topic {topic} does not exist on this broker: start what writes it (`k2 up`)")
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        begin, end = await self._consumer.beginning_offsets(tps), await self._consumer.end_offsets(tps)
        return {tp.partition: (begin[tp], end[tp]) for tp in tps}

    async def since(self, topic: str, partitions: int, ms: int) -> OffsetRanges:
        """As `retained`, but only from the first record on whose timestamp is at least `ms`."""
        retained = await self.retained(topic, partitions)
        begins = await self._consumer.offsets_for_times(
            {TopicPartition(topic, n): max(ms, 0) for n in retained}
        )
        found = {tp.partition: begin.offset for tp, begin in begins.items() if begin is not None}
        return {number: (found.get(number, end), end) for number, (_, end) in retained.items()}

    async def shown(self, wanted: Mapping[TP, int]) -> dict[TP, Shown]:
        """What the broker shows of partitions, and of one offset each (-1: no offset)."""
        return await look_at(self._consumer, wanted)

    async def read(self, topic: str, stretches: OffsetRanges) -> AsyncIterator[Any]:
        """The contents of the ranges, in order per partition; a RecordBatch may extend beyond the end.

        A RecordBatch is never empty. Raises Expired when part of a range is not there.
        """
        ends = {
            TopicPartition(topic, number): end for number, (begin, end) in stretches.items() if begin < end
        }
        if not ends:
            return
        self._consumer.assign(list(ends))
        for tp in ends:
            self._consumer.seek(tp, stretches[tp.partition][0])
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            with all_there(f"reading {topic}"):
                polled = await self._consumer.getmany(timeout_ms=500)
            for tp, items in polled.items():
                for item in items:
                    if len(item) if self._columnar else item.offset < ends[tp]:
                        yield item
