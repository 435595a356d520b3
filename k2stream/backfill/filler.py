"""The gap filler: follows one exchange's feed events and answers those that report a possible loss."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from k2stream import metrics, topics
from k2stream.backfill import ids, newest, outages
from k2stream.backfill.task import Task
from k2stream.backoff import Backoff
from k2stream.batch import TP
from k2stream.kafka.follow import GroupReader, in_group
from k2stream.kafka.groups import gap_fill_group
from k2stream.logs import place
from k2stream.model.errors import UNREADABLE
from k2stream.model.events import EventKind, FeedEvent

log = logging.getLogger(__name__)

LONGEST_FILL_MS = 24 * 3_600_000

_BY_ID = {EventKind.GAP, EventKind.JUMP}
_EVENT = msgspec.json.Decoder(FeedEvent)


class _Job(NamedTuple):
    """An event to answer, and the offset to commit afterwards."""

    event: FeedEvent
    next_offset: int


class Filler:
    """Fills the gaps of one exchange while `run` runs; errors end neither the filler nor the feed.

    An event is committed when its trades are durable in the raw topic. After a crash it is answered again:
    the normalizer drops ids it has seen, and trades without ids that the raw topic contains are not published
    again.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._key = task.exchange.name.encode()
        self._by_id = task.client.history.by_id is not None
        self._answered = {*_BY_ID, *newest.ASKED} if self._by_id else set(outages.ENDS)

    async def run(self) -> None:
        """Follow the events until cancelled."""
        name, settings = self._task.exchange.name, self._task.settings
        group = gap_fill_group(name)
        for counter in (metrics.BACKFILLED, metrics.GAP_FILL_FAILURES):
            counter.labels(name)  # from 0 on: an increase of what appears is not seen
        backoff = Backoff(settings.feeds.reconnect_base_seconds, settings.feeds.reconnect_cap_seconds)
        async with self._task.client:
            while True:
                try:
                    async with in_group(settings.kafka, topics.FEED_EVENTS, group, LONGEST_FILL_MS) as reader:
                        while True:
                            for tp, records in (await reader.poll()).items():
                                await self._answer(reader, tp, records)
                            backoff.reset()
                except Exception as error:  # no error here may stop the feed
                    metrics.GAP_FILL_FAILURES.labels(name).inc()
                    wait = backoff.next()
                    log.warning("%s: gaps are not filled, again in %.1f s: %r", name, wait, error)
                    await asyncio.sleep(wait)

    async def _answer(self, reader: GroupReader, tp: TP, records: Sequence[Any]) -> None:
        jobs = [job for record in records if (job := self._job(record))]
        if self._by_id:  # all outages at once, to wait once
            await newest.fill(self._task, [job.event for job in jobs if job.event.kind in newest.ASKED])
            jobs = [job for job in jobs if job.event.kind in _BY_ID]
        for event, next_offset in self._joined(jobs):
            await (outages.fill if event.kind in outages.ENDS else ids.fill)(self._task, event)
            await reader.commit(tp, next_offset)
        await reader.commit(tp, records[-1].offset + 1)

    def _job(self, record: Any) -> _Job | None:
        if record.key != self._key:
            return None
        try:
            event = _EVENT.decode(record.value or b"")
        except UNREADABLE as error:
            where = f"{topics.FEED_EVENTS} offset {record.offset}"
            log.warning("%s is not a feed event: %s", where, error, extra=place(record, record.offset))
            return None
        if event.kind not in self._answered:
            return None
        if event.kind in _BY_ID and (event.first_missing is None or event.last_missing is None):
            where = f"{topics.FEED_EVENTS} offset {record.offset}"
            log.warning("%s names no ids: %s", where, event.kind, extra=place(record, record.offset))
            return None
        return _Job(event, record.offset + 1)

    def _joined(self, jobs: Iterable[_Job]) -> list[_Job]:
        joined: list[_Job] = []
        for job in jobs:
            if joined and (both := outages.join(joined[-1].event, job.event, self._task.margin_us)):
                joined[-1] = _Job(both, job.next_offset)
            else:
                joined.append(job)
        return joined
