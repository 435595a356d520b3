"""Consumer lag: end offsets minus committed offsets."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Container, Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from k2stream import topics
from k2stream.batch import TP
from k2stream.kafka import groups
from k2stream.kafka.admin import Admin
from k2stream.kafka.groups import SOURCES, gap_fill_group
from k2stream.settings import Settings

_PERIOD_SECONDS = 0.2


class LagReader:
    """Reads the lag of the platform's consumer groups; an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._admin = Admin(**settings.kafka.connection)
        self._consumer = AIOKafkaConsumer(**settings.kafka.connection, enable_auto_commit=False)
        self.fillers = {
            gap_fill_group(name): (topics.FEED_EVENTS,)
            for name in topics.EXCHANGES
            if settings.feeds.fills_gaps(name)
        }
        """The gap fillers' groups, and the topics they read."""
        self._sources = {**SOURCES, **self.fillers}
        self._partitions = {topic.name: topic.partitions for topic in topics.declared(settings.kafka)}

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
            await self._consumer.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def lag(
        self, groups: Iterable[str] = SOURCES, *, skip_missing: bool = False
    ) -> dict[str, dict[str, int]]:
        """The number of records not committed yet, as {group: {topic: lag}}.

        `skip_missing` leaves out topics that do not exist, which are otherwise waited for.
        """
        there = set(await self._consumer.topics()) if skip_missing else self._partitions.keys()
        found: dict[str, dict[str, int]] = {}
        for group in groups:
            committed = await self._committed(group)  # before the ends, which only rise
            ends = await self._ends(group, there)
            unread = [tp for tp, end in ends.items() if not 0 <= committed.get(tp, -1) <= end]
            committed |= await self._beginnings(unread)
            per_topic: dict[str, int] = defaultdict(int)
            for tp, end in ends.items():
                per_topic[tp.topic] += max(end - committed[tp], 0)
            found[group] = dict(per_topic)
        return found

    async def passed(self, group: str, seconds: float) -> bool:
        """Wait until a group has committed all that its topics have now; False after `seconds`."""
        ends = await self._ends(group, self._partitions)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    committed = await self._committed(group)
                    committed |= await self._beginnings(ends.keys() - committed.keys())
                    if all(committed[tp] >= end for tp, end in ends.items()):
                        return True
                    await asyncio.sleep(_PERIOD_SECONDS)
        except TimeoutError:
            return False

    async def _ends(self, group: str, there: Container[str]) -> dict[TP, int]:
        wanted = [
            TopicPartition(topic, p)
            for topic in self._sources[group]
            if topic in there
            for p in range(self._partitions[topic])
        ]
        return {TP(*tp): end for tp, end in (await self._consumer.end_offsets(wanted)).items()}

    async def _beginnings(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Where partitions begin: that far is read what has no committed offset, or one of another log."""
        wanted = [TopicPartition(*tp) for tp in partitions]
        return {TP(*tp): first for tp, first in (await self._consumer.beginning_offsets(wanted)).items()}

    async def _committed(self, group: str) -> dict[TP, int]:
        return {tp: given.offset for tp, given in (await groups.offsets(self._admin, group)).items()}
