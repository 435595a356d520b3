"""Consumer that delivers whole batches, and loses or skips none across seeks, rebalances, crashes and stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from k2stream.batch import fetch
from k2stream.batch.acks import AckLedger
from k2stream.batch.records import RecordBatch
from k2stream.batch.schema import BatchSchema
from k2stream.batch.table import BatchTable

# The broker holds a fetch this long when nothing is new; a partition that was paused waits at most so long.
FETCH_MAX_WAIT_MS = 100
# A fetch that finds nothing returns after this: a seek waits for it.
POLL_SECONDS = 0.25
PAUSED_POLL_SECONDS = 0.05


class ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # Faust hard-codes 1500
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        if not self.app.client_only:
            fetch.install(self._ensure_consumer()._fetcher, self.consumer.is_columnar)


class Consumer(driver.Consumer):
    """See the methods: each says what stock Faust does there and what is done instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ledgers: dict[TP, AckLedger] = {}
        self._schemas: dict[str, BatchSchema | None] = {}
        self._halted: BaseException | None = None
        self._fetch_idle = asyncio.Event()
        self._fetch_idle.set()
        # Replaced whenever flow stops: what an earlier session fetched is dropped, and read again after the seek.
        self._session = object()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_start(self) -> None:
        for agent in self.app.agents.values():
            agent._on_error = self._halt_before(agent._on_error)
        await super().on_start()

    # Which topics

    def batch_schema(self, topic: str) -> BatchSchema | None:
        """Schema of a batch topic; None for any other topic."""
        if topic not in self._schemas:
            schemas = [channel.schema for channel in self.app.topics._topic_name_index.get(topic, ())]
            if not schemas:
                return None
            marks = [schema for schema in schemas if isinstance(schema, BatchSchema)]
            if marks and len(marks) != len(schemas):
                raise RuntimeError(
                    f"topic {topic}: some subscribers use BatchSchema and some do not; use it in all"
                )
            self._schemas[topic] = min(marks, key=lambda schema: schema.max_unacked) if marks else None
        return self._schemas[topic]

    def is_columnar(self, topic: str) -> bool:
        """Whether fetches of the topic arrive as RecordBatch (called in the consumer thread)."""
        return self._batch_table(topic) is not None or self.batch_schema(topic) is not None

    def _batch_table(self, topic: str) -> BatchTable | None:
        table = self.app.tables._changelogs.get(topic)
        return table if isinstance(table, BatchTable) else None

    # Delivery

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch once. Stock drops records when partitions pause during a fetch; here only a new session does."""
        if self.app.client_only:
            async for item in super().getmany(timeout):
                yield item
            return
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        session = self._session
        fetched = await self._fetch(timeout)
        single: dict[TP, list[Any]] = {}
        for aiokafka_tp, items in fetched.items():
            tp = ensure_TP(aiokafka_tp)
            if (table := self._batch_table(tp.topic)) is not None:
                for batch in items:
                    if self._session is session:
                        self._replay(table, tp, batch)
                        await asyncio.sleep(0)
            elif self.batch_schema(tp.topic) is not None:
                for batch in items:
                    if self._session is not session or self.should_stop:
                        return
                    yield tp, self._deliver(tp, batch)
            else:
                single[tp] = items
        for tp, record in self.scheduler.iterate(single):
            if self._session is not session or self.should_stop:
                return
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            yield tp, self._to_message(tp, record)

    async def _fetch(self, timeout: float) -> Mapping[Any, list[Any]]:
        """Fetch from the active partitions of topics that are not at their bound."""
        full = self._full_topics()
        # A copy: aiokafka takes an emptied set for "all partitions".
        active = frozenset(tp for tp in self._get_active_partitions() if tp.topic not in full)
        if not active:
            await self._wait_for_ack(1.0) if full else await self.sleep(POLL_SECONDS)
            return {}
        self._fetch_idle.clear()
        try:
            records = await self._getmany(active, min(timeout, PAUSED_POLL_SECONDS if full else POLL_SECONDS))
        finally:
            self._fetch_idle.set()
        return records or {}

    def _full_topics(self) -> set[str]:
        unacked: dict[str, int] = {}
        for tp, ledger in self._ledgers.items():
            unacked[tp.topic] = unacked.get(tp.topic, 0) + ledger.unacked()
        return {
            topic
            for topic, records in unacked.items()
            if (schema := self.batch_schema(topic)) is not None and records >= schema.max_unacked
        }

    def _deliver(self, tp: TP, batch: RecordBatch) -> ConsumerMessage:
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.last_offset,
            int(batch.timestamps[-1]) / 1000.0,
            0,  # create time
            None,
            None,
            batch,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        self._ledgers.setdefault(tp, AckLedger()).deliver(message, batch.last_offset, len(batch))
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        return message

    def _replay(self, table: BatchTable, tp: TP, batch: RecordBatch) -> None:
        """Apply a fetched stretch of changelog at once; stock makes an event of every entry."""
        recovery = self.app.tables.recovery
        if tp in recovery.active_tps:
            if not recovery.in_recovery:
                return  # only a zombie writes there now
            offsets = recovery.active_offsets
        elif tp in recovery.standby_tps:
            offsets = recovery.standby_offsets
        else:
            return
        seen = offsets.get(tp)
        start = 0 if seen is None else int(batch.offsets.searchsorted(seen, side="right"))
        if start < len(batch):
            table.apply_changelog(tp.partition, batch.keys[start:], batch.values[start:], batch.last_offset)
            offsets[tp] = batch.last_offset
        if recovery.in_recovery and not recovery.need_recovery():
            recovery.flush_buffers()
            recovery.signal_recovery_end.set()
        if not self.app.tables.standbys_ready and not recovery.standby_remaining_total():
            self.app.tables.on_standbys_ready()

    # Position

    def stop_flow(self) -> None:
        """Stop delivery; a fetch in flight belongs to the past from here on."""
        super().stop_flow()
        self._session = object()
        # Bulk replay sets this itself: left set, the next recovery would end before it began.
        self.app.tables.recovery.signal_recovery_end.clear()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Stock seeks changelogs under a running fetch, whose result then moves the position again."""
        await self._fetch_idle.wait()
        await super().seek_wait(partitions)

    async def perform_seek(self) -> None:
        """Seek to the committed offsets with flow stopped and no fetch in flight; the caller resumes flow.

        Stock leaves both running and then clears the agents' queues, and leaves never-committed partitions where an
        unfinished fetch put them.
        """
        self.stop_flow()
        self.app.flow_control.suspend()
        await self._fetch_idle.wait()
        for ledger in self._ledgers.values():
            ledger.void()
        self._ledgers.clear()
        await super().perform_seek()
        if self.app.conf.consumer_auto_offset_reset == "earliest":
            fresh = [
                tp
                for tp in self.assignment()
                if self.batch_schema(tp.topic) and not self._committed_offset[tp]
            ]
            if fresh:
                await self._thread.seek_to_beginning(*map(driver.ensure_aiokafka_TP, fresh))
            for tp in fresh:
                self._read_offset[tp] = None

    # Acknowledgement and commit

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        ledgers = {tp for tp in self._ledgers if topics is None or tp in topics or tp.topic in topics}
        return ledgers.union(super()._filter_tps_with_pending_acks(topics))

    def _new_offset(self, tp: TP) -> int | None:
        if (ledger := self._ledgers.get(tp)) is None:
            return None if self.batch_schema(tp.topic) else super()._new_offset(tp)
        # Faust's compiled stream keeps its own notes of acknowledged offsets.
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return ledger.position()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if self.batch_schema(tp.topic) is None:
            await super()._add_gap(tp, offset_from, offset_to)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Commit behind the producer's barrier. Stock commits after a flush that may return early and never fails."""
        if self._halted is not None or self.crashed:
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
        """Commit everything acknowledged by now, after any commit under way."""
        while await self.maybe_wait_for_commit_to_finish():
            pass
        await self.commit()

    # Rebalance, stop, failure

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let agents finish the batch in hand and commit it; stock drops the acknowledgements first."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self._wait_for_agents()
        await self._commit_acked()
        for tp in revoked:
            if (ledger := self._ledgers.pop(tp, None)) is not None:
                ledger.void()
        await super().on_partitions_revoked(revoked)

    async def wait_empty(self) -> None:
        """Before a stop: batches in hand are finished and committed, or will be read again.

        Stock acknowledges a batch when its agent is cancelled half-way through.
        """
        await self._wait_for_agents()
        self._void_unfinished()
        await self._commit_acked()

    async def _wait_for_agents(self) -> None:
        """Wait, up to half the rebalance timeout, until no agent has a batch in hand."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.app.conf.broker_rebalance_timeout / 2
        while self._busy() and self._halted is None and not self.crashed and loop.time() < deadline:
            await asyncio.sleep(0.005)

    def _busy(self) -> bool:
        return any(
            actor.stream.current_event is not None
            for agent in self.app.agents.values()
            for actor in agent._actors
            if actor.stream is not None
        )

    def _void_unfinished(self) -> None:
        """A batch still in hand must not count; those that a noack stream holds may be acknowledged until the end."""
        manual = {
            topic
            for agent in self.app.agents.values()
            for actor in agent._actors
            if not actor.stream.enable_acks
            for topic in getattr(agent.channel, "topics", ())
        }
        for tp, ledger in self._ledgers.items():
            if tp.topic not in manual:
                ledger.void()

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent failed: halt and stop the worker. Stock commits, and the failed batch may count as done."""
        self._halt(exc)
        await self.crash(exc)

    def _halt(self, exc: BaseException) -> None:
        self._halted = exc
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        for ledger in self._ledgers.values():
            ledger.void()
        self.app.producer.fail(exc)

    def _halt_before(self, on_error: Callable[..., Awaitable[None]] | None) -> Callable[..., Awaitable[None]]:
        """Agent error handler that halts at once, before the application's own handler may await."""

        async def handler(agent: Any, exc: BaseException) -> None:
            self._halt(exc)
            if on_error is not None:
                await on_error(agent, exc)
            await self.crash(exc)

        return handler
