"""Consumer of whole batches that loses no records across seeks, rebalances, crashes and stops."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.errors import OffsetOutOfRangeError
from faust.exceptions import ImproperlyConfigured
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage, Message
from faust.types.transports import TPorTopicSet

from k2stream.batch import _agents as agents
from k2stream.batch._acks import AckLedger
from k2stream.batch._fetch import ConsumerThread
from k2stream.batch._measured import Measured
from k2stream.batch._message import message_of
from k2stream.batch._records import TP, RecordBatch
from k2stream.batch._replay import replay
from k2stream.batch._schema import BatchSchema
from k2stream.batch._table import BatchTable
from k2stream.batch.proof import last_of

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import ConsumerRecord

# Timeout of a fetch without records; a seek waits for a running fetch.
POLL_SECONDS = 0.25
# The same while a topic is at its limit of unacknowledged records, from which any acknowledgement frees it.
PAUSED_POLL_SECONDS = 0.05
# How long before Faust's own seek timeout a seek fails: Faust would go on as if the worker were stopping.
SEEK_MARGIN_SECONDS = 2.0


class Consumer(Measured):
    """Faust's consumer with batch delivery.

    The docstring of a method that replaces one of Faust's says what stock Faust does wrong.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ledgers: dict[TP, AckLedger] = {}
        self._schemas: dict[str, BatchSchema | None] = {}
        self._halted: BaseException | None = None
        self._fetch_idle = asyncio.Event()
        self._fetch_idle.set()
        # Replaced whenever flow stops: records fetched in an earlier session are dropped, and read again
        # later.
        self._session = object()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_start(self) -> None:
        agents.stop_on_failure(self.app, self._halt)
        await super().on_start()

    # Which topics

    async def subscribe(self, topics: Iterable[str]) -> None:
        wanted = list(topics)
        self._schemas = {topic: self._find_schema(topic) for topic in wanted}
        await super().subscribe(wanted)

    def _find_schema(self, topic: str) -> BatchSchema | None:
        schemas = [channel.schema for channel in self.app.topics._topic_name_index[topic]]
        watermarks = [schema for schema in schemas if isinstance(schema, BatchSchema)]
        if watermarks and len(watermarks) < len(schemas):
            raise ImproperlyConfigured(f"topic {topic}: BatchSchema in some agents only, use it in all")
        return min(watermarks, key=lambda schema: schema.max_unacked) if watermarks else None

    def batch_topics(self) -> list[str]:
        return [topic for topic, schema in self._schemas.items() if schema]

    def _is_batch(self, tp: TP) -> bool:
        return self._schemas.get(tp.topic) is not None

    def is_columnar(self, topic: str) -> bool:
        """Whether the topic is fetched as RecordBatch; called in the consumer thread."""
        return self._schemas.get(topic) is not None or self._batch_table(topic) is not None

    # Delivery

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109, C901
        """Fetch once; stock Faust drops records fetched from partitions that are paused during the fetch."""
        if self.app.client_only:
            async for item in super().getmany(timeout):
                yield item
            return
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
        session = self._session
        single: dict[TP, list[ConsumerRecord]] = {}
        for aiokafka_tp, items in (await self._fetch(timeout)).items():
            tp = ensure_TP(aiokafka_tp)
            table = self._batch_table(tp.topic)
            if table is None and not self._is_batch(tp):
                single[tp] = items
                continue
            for batch in items:
                if self._session is not session or self.should_stop:
                    return
                if table is not None:
                    replay(self.app, table, tp, batch)
                    await asyncio.sleep(0)
                    continue
                if not await self._follows_on(tp, batch.breaks) or self._session is not session:
                    return
                if len(batch) or self._wants_empty(tp):
                    yield tp, self._deliver(tp, batch)
                else:
                    self._ledgers.setdefault(tp, AckLedger()).skip(batch.last_offset)
        for tp, record in self.scheduler.iterate(single):
            if self._session is not session or self.should_stop:
                return
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            yield tp, self._to_message(tp, record)

    async def _fetch(self, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109
        """Fetch from the active partitions of topics that are below their limit of unacknowledged records."""
        full = self._full_topics()
        # A copy: aiokafka would treat a set that becomes empty during the call as "all partitions".
        active = {tp for tp in self._get_active_partitions() if tp.topic not in full}
        if not active:
            await (self._wait_for_ack(1.0) if full else self.sleep(POLL_SECONDS))
            return {}
        self._fetch_idle.clear()
        try:
            return await self._getmany(active, min(timeout, PAUSED_POLL_SECONDS if full else POLL_SECONDS))
        except OffsetOutOfRangeError as error:
            await self._out_of_range(error)
            return {}
        finally:
            self._fetch_idle.set()

    def _full_topics(self) -> set[str]:
        unacked: dict[str, int] = {}
        for tp, ledger in self._ledgers.items():
            unacked[tp.topic] = unacked.get(tp.topic, 0) + ledger.unacked()
        return {
            topic
            for topic, records in unacked.items()
            if (schema := self._schemas.get(topic)) is not None and records >= schema.max_unacked
        }

    def _wants_empty(self, tp: TP) -> bool:
        schema = self._schemas[tp.topic]
        return schema is not None and schema.empty

    def _deliver(self, tp: TP, batch: RecordBatch) -> ConsumerMessage:
        message = message_of(tp, batch, self.app.consumer_generation_id)
        proof = last_of(batch)
        self._ledgers.setdefault(tp, AckLedger()).deliver(message, batch.last_offset, len(batch), proof)
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        return message

    # Position

    def stop_flow(self) -> None:
        """Stop delivery, and discard the result of a fetch in flight."""
        super().stop_flow()
        self._session = object()
        # Bulk replay sets it where Faust's own loop would clear it; left set, the next recovery would end at
        # once.
        self.app.tables.recovery.signal_recovery_end.clear()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek once no fetch is in flight: in stock Faust one would return records from the new position."""
        await self._fetch_idle.wait()
        await super().seek_wait(partitions)

    async def perform_seek(self) -> None:
        """Seek to the committed offsets with flow stopped and no fetch in flight; the caller resumes flow.

        Stock Faust leaves both running although the caller clears the agents' queues next, does not move
        partitions without a committed offset, and waits forever after a seek that takes too long.
        """
        try:
            async with asyncio.timeout(self.app.conf.broker_request_timeout - SEEK_MARGIN_SECONDS):
                await self._seek_to_positions()
        except TimeoutError as exc:
            await self.give_up(exc)
            raise

    async def _seek_to_positions(self) -> None:
        self.stop_flow()
        self.app.flow_control.suspend()
        await self._fetch_idle.wait()
        self._forget(set(self._ledgers))
        await super().perform_seek()
        batched = {tp for tp in self.assignment() if self._is_batch(tp)}
        if await self._check_positions(self.batch_topics(), batched):
            await super().perform_seek()
        if self.app.conf.consumer_auto_offset_reset != "earliest":
            return
        fresh = [tp for tp in batched if not self._committed_offset[tp]]
        if fresh:
            await self._thread.seek_to_beginning(*map(driver.ensure_aiokafka_TP, fresh))
        for tp in fresh:
            self._read_offset[tp] = None

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            if (ledger := self._ledgers.pop(tp, None)) is not None:
                ledger.void()

    # Acknowledgement and commit

    def _filter_tps_with_pending_acks(self, topics: TPorTopicSet | None = None) -> Iterator[TP]:
        ledgers = {tp for tp in self._ledgers if topics is None or tp in topics or tp.topic in topics}
        return iter(ledgers.union(super()._filter_tps_with_pending_acks(topics)))

    def _new_offset(self, tp: TP) -> int | None:
        if not self._is_batch(tp):
            return super()._new_offset(tp)
        # Faust's streams collect acknowledged offsets here, which are not needed.
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        ledger = self._ledgers.get(tp)
        return None if ledger is None else ledger.position()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if not self._is_batch(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Commit after the producer's barrier; stock Faust's flush may return early and only logs failures.

        A worker that has been removed from its group commits nothing, and must not write its changelogs.
        """
        if self._halted is not None or self.crashed or not await self._thread.is_member():
            return False
        if not await self._may_commit(offsets):
            return False
        try:
            await self.app.producer.barrier()
        except Exception as exc:
            self._halted = exc
            await self.crash(exc)
            return False
        assignment = self.assignment()
        owned = {tp: offset for tp, offset in offsets.items() if tp in assignment}
        if self._halted is not None or not owned or not await self._commit(owned):
            return False
        self.app.tables.on_commit(owned)
        self._committed_offset.update(owned)
        self.app.monitor.on_tp_commit(owned)
        return True

    async def _commit_acked(self) -> None:
        """Commit everything acknowledged so far, after any running commit."""
        while await self.maybe_wait_for_commit_to_finish():
            pass
        await self.commit()

    # Rebalance, stop, failure

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let agents finish their batches and commit them; stock Faust drops the acknowledgements first."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self._wait_for_agents()
        await self._forget_tables_if_replaced()
        await self._commit_acked()
        self._forget(revoked)
        await super().on_partitions_revoked(revoked)

    async def wait_empty(self) -> None:
        """Before a stop, let agents finish and commit their batches; unfinished ones are read again later.

        Stock Faust acknowledges a batch when its agent is cancelled halfway through. Batches of a noack()
        stream may still be acknowledged until the end.
        """
        await self._wait_for_agents()
        manual = agents.manual_topics(self.app)
        for tp, ledger in self._ledgers.items():
            if tp.topic not in manual:
                ledger.void()
        await self._forget_tables_if_replaced()
        await self._commit_acked()

    async def _forget_tables_if_replaced(self) -> None:
        """Clear the tables if the worker was removed from its group: others have written the changelogs."""
        if not await self._thread.is_member():
            for table in self.app.tables.values():
                if isinstance(table, BatchTable):
                    table.forget()

    async def _wait_for_agents(self) -> None:
        """Wait until no agent is processing a batch, at most for half the rebalance timeout."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.app.conf.broker_rebalance_timeout / 2
        while agents.any_busy(self.app) and not (self._halted or self.crashed) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def on_task_error(self, exc: BaseException) -> None:
        """Skip Faust's handling after a failure: it commits, and counts the failed batch as done."""
        if self._halted is None:
            await super().on_task_error(exc)

    def _halt(self, exc: BaseException) -> None:
        """Stop all delivery, acknowledgements, flushes and commits."""
        self._halted = exc
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        self._forget(set(self._ledgers))
        self.app.producer.fail(exc)
