"""A consumer that refuses positions which mean something else by now."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from mode import Service

from k2stream.batch._acks import AckLedger
from k2stream.batch._guard import SETTLE_SECONDS, Guard, Unanswered
from k2stream.batch._records import TP
from k2stream.batch._same_topics import SameTopics
from k2stream.batch._table import BatchTable
from k2stream.model.errors import StateRefused, Unavailable, mending
from k2stream.model.roles import role_of

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp
    from k2stream.batch._fetch import ConsumerThread

logger = logging.getLogger(__name__)

WATCH_SECONDS = 5.0
KEEP_SECONDS = 10.0
"""For what is done to be noted before a refusal."""


class SourceGone(Unavailable):
    """A topic that is read does not exist, or its broker does not know it yet."""


class Guarded(driver.Consumer):
    """Where a consumer asks its guard: at a seek, out of range, and before a commit."""

    app: BatchApp
    _thread: ConsumerThread
    _ledgers: dict[TP, AckLedger]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = Guard(self, self.app.conf.id)
        self._same_topics = SameTopics()

    async def give_up(self, exc: BaseException) -> None:
        """Stop the worker with a failure: nothing is acknowledged or committed from here on."""
        self._halt(exc)
        await self.crash(exc)

    async def _refuse(self, exc: BaseException) -> None:
        """Give the worker up; what was made of the log as it was is first noted to be done.

        Its outputs are durable. Without the state that knows of them, a trade that comes again in the new log
        would be a new one.
        """
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(KEEP_SECONDS):
                await self._keep()
        await self.give_up(exc)

    async def _keep(self) -> None:
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self._wait_for_agents()
        for callback in self.app.before_refusal:
            await callback()  # what is held of the log as it was is nowhere else
        if not await self._thread.is_member():
            return
        newest = {tp: ledger.newest for tp, ledger in self._ledgers.items() if tp in self.assignment()}
        both = await self._guard.of_both({tp: found for tp, found in newest.items() if found})
        done = {tp: self._ledgers[tp].position() for tp in newest.keys() - both}
        offsets = {tp: position for tp, position in done.items() if position is not None}
        if offsets:
            self._note(offsets)
            await self.app.producer.barrier()
            await self._thread.commit(offsets)

    def _note(self, offsets: Mapping[TP, int]) -> None:
        """Tables and offsets are written with what they refer to."""
        known = [(tp, ledger) for tp in offsets if (ledger := self._ledgers.get(tp))]
        proofs = {tp: ledger.proof_at(offsets[tp]) for tp, ledger in known}
        self._guard.note({tp: found for tp, found in proofs.items() if found is not None}, offsets)

    @abstractmethod
    async def _wait_for_agents(self) -> None:
        """Wait, for a while, until no agent has a batch in hand."""

    @abstractmethod
    def _halt(self, exc: BaseException) -> None:
        """No delivery, acknowledgement, flush or commit from here on."""

    def _batch_table(self, topic: str) -> BatchTable | None:
        table = self.app.tables._changelogs.get(topic)
        return table if isinstance(table, BatchTable) else None

    def tables_of(self, topic: str) -> list[BatchTable]:
        """The tables that are made from a topic."""
        tables = self.app.tables.values()
        return [table for table in tables if isinstance(table, BatchTable) and table.source == topic]

    async def _check_positions(self, topics: Sequence[str], tps: set[TP]) -> None:
        """Before delivery: raise, with the worker given up, when a position means something else.

        Also when a topic is gone: Faust goes on without it, and a new one of its name is found minutes later.
        """
        try:
            if topics and (gone := await self._thread.gone(topics)):
                raise SourceGone(f"topic {', '.join(gone)} is gone: the worker ends, to be restarted")
            await self._guard.check(tps)
        except (StateRefused, SourceGone, Unanswered) as exc:
            await self.give_up(exc)
            raise

    @Service.task
    async def _watch_topics(self) -> None:
        """An idle consumer does not see for minutes that its topic is another."""
        while not self.should_stop:
            await self.sleep(WATCH_SECONDS)
            if self.app.started and not self.app.rebalancing and await self.check_topics():
                await self._check_records()

    async def check_topics(self) -> bool:
        """Whether the topics read, and those of tables, are still the same ones.

        The worker is given up once they have been others for SETTLE_SECONDS. A commit would note in a new
        changelog that it holds the whole table.
        """
        topics = {*self.batch_topics(), *self.app.tables._changelogs}
        changes = self._same_topics.observe(time.monotonic(), await self._thread.topic_ids(topics))
        for change in changes:
            if change.seconds >= SETTLE_SECONDS:
                role = role_of(self.app.conf.id)
                gone = SourceGone(f"{change}: the worker ends, to be restarted")
                anew = StateRefused(f"{change}; {mending(change.topic, role)}")
                tables = any(item.topic in self.app.tables._changelogs for item in changes)
                await (self.give_up if tables else self._refuse)(gone if change.now is None else anew)
                break
        return not changes

    async def _check_records(self) -> None:
        """Of topics whose ids the broker does not tell, only records do: those last noted are still there."""
        try:
            await self._guard.still({tp for tp in self.assignment() if tp.topic not in self._same_topics})
        except StateRefused as exc:
            await self._refuse(exc)
        except (KafkaError, Unanswered) as exc:
            logger.warning("the topics read could not be looked at: %r", exc)

    @abstractmethod
    def batch_topics(self) -> list[str]:
        """The topics that are delivered in batches."""

    async def commit_noted(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets that the guard has noted, once what tables note is durable."""
        await self.app.producer.barrier()
        return await self._thread.commit(offsets)

    async def check_position(self, tp: TP, position: int, source: str) -> None:
        """Check a position that is kept elsewhere, with its note; raises StateRefused and Unanswered."""
        await self._guard.check_position(tp, position, source)

    async def _follows_on(self, tp: TP, breaks: int) -> bool:
        """Whether what was fetched may be delivered: in the log is still what was delivered before it.

        The next batch of a log that was cut, and has grown again, looks like any other.
        """
        ledger = self._ledgers.setdefault(tp, AckLedger())
        if breaks != ledger.breaks:
            try:
                await self._guard.follows(tp, ledger.newest)
            except (StateRefused, Unanswered) as exc:
                await self._refuse(exc)
                return False
            ledger.breaks = breaks
        return True

    async def _out_of_range(self, error: OffsetOutOfRangeError) -> None:
        """Stock goes on at the log's beginning without a word."""
        try:
            found = await self._guard.lost({TP(*tp): at for tp, at in error.args[0].items()})
            if found:  # not by seek_wait of this consumer: that waits for the fetch under way
                await self._thread.seek_wait(found)
        except (StateRefused, Unanswered) as exc:
            await self._refuse(exc)

    async def _may_commit(self, offsets: Mapping[TP, int]) -> bool:
        """Whether the logs are still those that were read; tables and offsets are noted if so."""
        if not await self.check_topics():
            return False
        try:
            await self._guard.still({tp for tp in offsets if tp in self._ledgers})
        except KafkaError as error:
            logger.warning("not committed, the broker does not show what was read: %r", error)
            return False
        except (StateRefused, Unanswered) as exc:
            await self._refuse(exc)
            return False
        self._note(offsets)
        return True
