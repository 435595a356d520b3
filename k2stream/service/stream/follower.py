"""Follows a topic while somebody listens, and keeps its newest entries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing

from k2stream.batch import RecordBatch
from k2stream.model.errors import Expired
from k2stream.model.trade import AHEAD_US
from k2stream.service.stream.channels import Channel
from k2stream.service.stream.entries import Log, Place, StreamEntry
from k2stream.service.stream.listeners import Listened
from k2stream.service.stream.records import SLICE, Connect, TopicRecords, lookback, missed, slices
from k2stream.service.stream.source import Listener
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
ENDLESS = 2**62
AHEAD_MS = AHEAD_US // 1000


class Follower(Listened):
    """One topic's log, and who listens to which of its keys. `now` returns ms since 1970."""

    def __init__(self, channel: Channel, partitions: int, connect: Connect, now: Callable[[], int]) -> None:
        self.channel, self.partitions = channel, partitions
        self.log: Log = channel.log()
        self.connect, self._now = connect, now
        self._ready = asyncio.Event()
        super().__init__()
        self.broken: Callable[[], None] = lambda: None

    async def ready(self) -> None:
        """Return when the log has reached what was the topic's end."""
        await self._ready.wait()

    def text(self, entry: StreamEntry) -> bytes:
        """The members of an entry's message up to the resume token; encoded once."""
        if not entry.text:
            entry.text = self.channel.text(entry)
        return entry.text

    @property
    def has_history(self) -> bool:
        """Whether what was before the topic's records is looked up."""
        return self.channel.conflated

    async def since(self, ms: int) -> dict[int, Place]:
        """The places before all records of a time (ms) and later. Raises RequestError if they expired."""
        topic, clock = self.channel.topic, max(ms - AHEAD_MS, 0)
        async with self.connect() as records:
            found = await records.since(topic, self.partitions, clock)
            retained = await records.retained(topic, self.partitions)
        if any(0 < start == retained[number][0] < end for number, (start, end) in found.items()):
            raise RequestError(
                410, f"since={ms}: what was published then expired in the topic; choose a later time"
            )
        return {number: Place(start - 1, clock) for number, (start, _) in found.items()}

    def missed(
        self, keys: Mapping[int, Sequence[str]], places: Mapping[int, Place], ends: Mapping[int, Place]
    ) -> AsyncIterator[Sequence[StreamEntry]]:
        """What keys got after places, up to the places `ends`. Raises OutOfReach, Expired."""
        return missed(self.connect, self.channel, self.partitions, keys, places, ends)

    async def run(self) -> None:
        """Follow until cancelled; after an error of the broker, from the place that was reached."""
        said = ""
        while True:
            try:
                async with self.connect() as records:
                    await self._follow(records)
            except Expired as error:
                logger.warning("%s; streams begin again", error)
                self._ready.clear()
                self.broken()
            except Exception as error:  # whatever its client raises: a stream must outlive a broker's restart
                reason = f"{type(error).__name__} {' '.join(str(error).split())[:200]}"
                if reason != said:
                    logger.warning("%s is not followed, trying again: %s", self.channel.topic, reason)
                said = reason
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, records: TopicRecords) -> None:
        topic = self.channel.topic
        retained = await records.retained(topic, self.partitions)
        if self._ready.is_set():
            starts = {number: at.offset + 1 for number, at in self.log.positions.items()}
        else:
            ends = {number: Place(end - 1, self._now()) for number, (_, end) in retained.items()}
            starts = await lookback(records, topic, self.partitions, ends)
            self.log.begin(starts)
            self.forget_news()
        left = {number: end for number, (_, end) in retained.items() if end > starts[number]}
        if not left:
            self._ready.set()
        stretches = {number: (start, ENDLESS) for number, start in starts.items()}
        async with aclosing(records.read(topic, stretches)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                await self._take(batch)
                number = batch.tp.partition
                if number in left and self.log.positions[number].offset + 1 >= left[number]:
                    del left[number]
                    if not left:
                        self._ready.set()

    async def _take(self, batch: RecordBatch) -> None:
        for part in slices(batch):
            told: dict[Listener, None] = {}
            for entry in self.channel.entries(part):
                if self.log.add(entry):
                    told |= dict.fromkeys(self.listeners(entry.key))
            self.log.positions[batch.tp.partition] = Place(int(part.offsets[-1]), int(part.timestamps[-1]))
            await self.tell(told)
            if len(batch) > SLICE:
                await asyncio.sleep(0)
        reached = self.log.positions[batch.tp.partition]
        self.log.positions[batch.tp.partition] = Place(batch.last_offset, reached.clock)
