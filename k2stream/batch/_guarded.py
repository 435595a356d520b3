"""A consumer that refuses positions which no longer refer to the same log."""
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
"""How long saving finished work may take before a refusal."""


class SourceGone(Unavailable):
    """A source topic does not exist, or is not known to the broker yet."""


class Guarded(driver.Consumer):
    """Consults the guard at seeks, when an offset is out of range, and before commits."""

    app: BatchApp
    _thread: ConsumerThread
    _ledgers: dict[TP, AckLedger]
    _halted: BaseException | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = Guard(self, self.app.conf.id)
        self._same_topics = SameTopics()

    async def give_up(self, exc: BaseException) -> None:
        """Stop the worker with a failure; nothing is acknowledged or committed from here on."""
        self._halt(exc)
        await self.crash(exc)

    async def _refuse(self, exc: BaseException) -> None:
        """Commit the finished work on the previous log, then stop the worker.

        The outputs of that work are durable. Without the state that records them, trades that occur again in
        the new log would be treated as new.
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
            await callback()  # what is buffered of the previous log is stored nowhere else
        if not await self._thread.is_member():
            return
        newest = {tp: ledger.newest for tp, ledger in self._ledgers.items() if tp in self.assignment()}
        both = await self._guard.of_both({tp: found for tp, found in newest.items() if found})
        done = {tp: self._ledgers[tp].position() for tp in newest.keys() - both}
        offsets = {tp: position for tp, position in done.items() if position is not None}
        if offsets:
            self._identify(offsets)
            await self.app.producer.barrier()
            await self._thread.commit(offsets)

    def _identify(self, offsets: Mapping[TP, int]) -> None:
        """Set the identities that are written with tables and offsets."""
        known = [(tp, ledger) for tp in offsets if (ledger := self._ledgers.get(tp))]
        proofs = {tp: ledger.proof_at(offsets[tp]) for tp, ledger in known}
        self._guard.identify({tp: found for tp, found in proofs.items() if found is not None}, offsets)

    @abstractmethod
    async def _wait_for_agents(self) -> None:
        """Wait, for a limited time, until no agent is processing a batch."""

    @abstractmethod
    def _halt(self, exc: BaseException) -> None:
        """Stop all delivery, acknowledgements, flushes and commits."""

    def _batch_table(self, topic: str) -> BatchTable | None:
        table = self.app.tables._changelogs.get(topic)
        return table if isinstance(table, BatchTable) else None

    def tables_of(self, topic: str) -> list[BatchTable]:
        """Return the tables that are built from a topic."""
        tables = self.app.tables.values()
        return [table for table in tables if isinstance(table, BatchTable) and table.source == topic]

    async def _check_positions(self, topics: Sequence[str], tps: set[TP]) -> bool:
        """Check positions before delivery; stop the worker and raise if one refers to another log.

        The same applies to a missing topic: Faust would go on without it, and notice a new topic of the same
        name only minutes later. True if offsets were committed anew, and have to be sought again. Raises
        StateRefused, SourceGone and Unanswered.
        """
        if self._halted is not None:
            raise self._halted
        try:
            if topics and (gone := await self._thread.gone(topics)):
                raise SourceGone(
                    f"topic {', '.join(gone)} is not on this broker (any more): create it, or start what "
                    "does; the worker ends, to be restarted"
                )
            return await self._guard.check(tps)
        except (StateRefused, SourceGone, Unanswered) as exc:
            await self.give_up(exc)
            raise

    @Service.task
    async def _watch_topics(self) -> None:
        """Check the topics regularly: an idle consumer notices a recreated topic only after minutes."""
        while not self.should_stop:
            await self.sleep(WATCH_SECONDS)
            if self.app.started and not self.app.rebalancing and await self.check_topics():
                await self._check_records()

    async def check_topics(self) -> bool:
        """Whether the broker says that the source topics and changelogs are still the same topics.

        Without an answer they may be others by now, and a commit waits for one: it would mark a recreated
        changelog as containing the whole table. The worker is stopped once they have differed for
        SETTLE_SECONDS.
        """
        topics = {*self.batch_topics(), *self.app.tables._changelogs}
        shown = await self._thread.topic_ids(topics)
        changes = self._same_topics.observe(time.monotonic(), shown)
        for change in changes:
            if change.seconds >= SETTLE_SECONDS:
                role = role_of(self.app.conf.id)
                gone = SourceGone(f"{change}: the worker ends, to be restarted")
                anew = StateRefused(f"{change}; {mending(change.topic, role)}")
                tables = any(item.topic in self.app.tables._changelogs for item in changes)
                await (self.give_up if tables else self._refuse)(gone if change.now is None else anew)
                break
        if untold := self._same_topics.untold(shown):
            logger.warning("not committed, the broker does not tell the ids of %s", ", ".join(sorted(untold)))
        return not changes and not untold

    async def _check_records(self) -> None:
        """Check topics without known ids by the records noted last: these must still exist."""
        try:
            await self._guard.still({tp for tp in self.assignment() if tp.topic not in self._same_topics})
        except StateRefused as exc:
            await self._refuse(exc)
        except (KafkaError, Unanswered) as exc:
            logger.warning("the topics read could not be looked at: %r", exc)

    @abstractmethod
    def batch_topics(self) -> list[str]:
        """Return the topics that are delivered in batches."""

    async def commit_noted(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets that have identities, once the tables' identities are durable."""
        await self.app.producer.barrier()
        return await self._thread.commit(offsets)

    async def check_position(self, tp: TP, position: int, source: str) -> None:
        """Check an externally stored position with its identity. Raises StateRefused and Unanswered."""
        await self._guard.check_position(tp, position, source)

    async def _follows_on(self, tp: TP, breaks: int) -> bool:
        """Whether a fetched batch may be delivered: the log must still contain what was delivered before.

        A batch from a log that was truncated and has grown again is not recognizable as such.
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
        """Seek past expired offsets or refuse; stock Faust silently continues at the beginning of the log."""
        try:
            found = await self._guard.lost({TP(*tp): at for tp, at in error.args[0].items()})
            if found:  # not by this consumer's seek_wait, which waits for the running fetch
                await self._thread.seek_wait(found)
        except (StateRefused, Unanswered) as exc:
            await self._refuse(exc)

    async def _may_commit(self, offsets: Mapping[TP, int]) -> bool:
        """Whether the logs are still those that were read; if so, sets identities for tables and offsets."""
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
        self._identify(offsets)
        return True
