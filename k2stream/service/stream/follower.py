"""Follows a topic while somebody listens, and keeps its newest entries."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing

from k2stream.batch import SETTLE_SECONDS, RecordBatch
from k2stream.batch.proof import NOTHING, Proof, last_of
from k2stream.model.errors import Expired
from k2stream.model.trade import AHEAD_US
from k2stream.service.stream import same_log
from k2stream.service.stream.channels import Channel
from k2stream.service.stream.entries import Log, Place, StreamEntry
from k2stream.service.stream.listeners import Listened
from k2stream.service.stream.records import (
    SLICE,
    Connect,
    OutOfReach,
    TopicRecords,
    lookback,
    missed,
    shown_at,
    slices,
)
from k2stream.service.stream.source import Listener
from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
ENDLESS = 2**62
AHEAD_MS = AHEAD_US // 1000

WATCH_SECONDS = 5.0
"""How often the broker is asked whether the topic is still the same one."""

PAUSE_SECONDS = 0.2
AT_ONCE = 8
"""Clients whose places the broker is asked about at once: after a restart a thousand come back."""


class Follower(Listened):
    """One topic's log, and who listens to which of its keys. `now` returns ms since 1970."""

    def __init__(self, channel: Channel, partitions: int, connect: Connect, now: Callable[[], int]) -> None:
        self.channel, self.partitions = channel, partitions
        self.log: Log = channel.log()
        self.connect, self._now = connect, now
        self.identity = ""
        self._newest: dict[int, Proof] = {}
        self._proofs: dict[int, Proof] = {}
        self._ready, self._asking = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
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

    async def confirm(self, identity: str, places: Mapping[int, Place]) -> None:
        """Return if places of the log `identity` are of the topic's log. Raises OutOfReach."""
        is_same = same_log.same(identity, self.identity)
        if is_same is False:
            raise OutOfReach
        deadline = time.monotonic() + SETTLE_SECONDS
        while behind := same_log.beyond(places, self._offsets()):  # of the worker that gave the token
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        if is_same and not behind:
            return
        async with self._asking, self.connect() as records:
            shown = await shown_at(records, self.channel.topic, places)
        ends = {number: found.end - 1 for number, found in shown.items()}
        elsewhere = any(same_log.differs(identity, at, shown[n]) for n, at in places.items())
        if elsewhere or same_log.beyond(places, ends):
            raise OutOfReach

    def _offsets(self) -> dict[int, int]:
        return {number: place.offset for number, place in self.log.positions.items()}

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
                    await _until_one_ends(self._follow(records), self._watch(records))
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
            await self._check(records)
            starts = {number: at.offset + 1 for number, at in self.log.positions.items()}
        else:
            self.identity = same_log.identity((await shown_at(records, topic, {0: NOTHING}))[0])
            self._newest, self._proofs = {}, {}
            ends = {number: Place(end - 1, self._now()) for number, (_, end) in retained.items()}
            starts = await lookback(records, topic, self.partitions, ends)
            self.log.begin(starts)
            self.forget_news()
        left = {number: end for number, (_, end) in retained.items() if end > starts[number]}
        if not self._ready.is_set():
            self.log.positions |= {number: ends[number] for number in ends.keys() - left.keys()}
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

    async def _watch(self, records: TopicRecords) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                if self._ready.is_set():
                    await self._check(records)
            except Expired:
                raise
            except Exception as error:  # whatever its client raises: who reads notices a broker that is away
                logger.debug("%s cannot be checked: %s", self.channel.topic, error)

    async def _check(self, records: TopicRecords) -> None:
        """Raise Expired if the topic is not the one that is followed."""
        # Records, which may be of 1 MB with their batch, are only needed where the broker has no ids: those
        # that were the newest at the last check, for newer ones may be of a log that has outgrown it.
        proofs = {0: NOTHING} | ({} if self.identity else self._newest | self._proofs)
        newest = dict(self._newest)
        shown = await shown_at(records, self.channel.topic, proofs)
        is_same = same_log.same(self.identity, same_log.identity(shown[0]))
        if is_same is False or any(shown[n].record not in (None, proof) for n, proof in proofs.items()):
            raise Expired(f"topic {self.channel.topic} was made anew")
        self.identity, self._proofs = self.identity or same_log.identity(shown[0]), newest

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
        if newest := last_of(batch):
            self._newest[batch.tp.partition] = newest
        reached = self.log.positions[batch.tp.partition]
        self.log.positions[batch.tp.partition] = Place(batch.last_offset, reached.clock)


async def _until_one_ends(*works: Coroutine[None, None, None]) -> None:
    """Do all at once, until one ends or raises."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
