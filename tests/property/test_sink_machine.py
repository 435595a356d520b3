"""The delivery contract as a state machine: deliveries, failures, crashes, rebalances, zombies in any order.

Two destinations: one that saves positions after its rows, as ClickHouse, and one that commits both in one, as
Iceberg. A crash may come before or after each of their calls; then all is read again from what was
acknowledged. Either may come back as it was some time ago, or empty, beside a running worker or before a
start; ClickHouse still takes what it has seen by its token for a retry, and closes all connections.
"""

import asyncio
from collections import Counter, deque
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from faust.types import TP
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from k2stream.batch import RecordBatch
from k2stream.delivery import sink as base
from k2stream.delivery.anchors import renamed
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.rewind import target
from k2stream.delivery.route import Route, delivered
from k2stream.delivery.sink import Policy, Sink
from tests.property.sink_stores import AtomicStore, Connection, Died, Store

TOPIC = "trades"
RECORDS = 40
ROUNDS = 9  # a zombie may have opened an epoch, a restore be found in two steps
PARTITIONS = st.integers(0, 1)
SCHEMA = pa.schema([pa.field("offset", pa.int64())])
ROUTE = Route(
    TOPIC, "table", SCHEMA, lambda batch: delivered(batch, {"offset": pa.array(batch.offsets)}, SCHEMA)
)
NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)

FATES = st.lists(st.sampled_from(["fine", "away", "answer lost", "dies before", "dies after"]), max_size=4)


class Delivery(RuleBasedStateMachine):
    """A topic of two partitions, one consumer group, one worker at a time and perhaps its zombie."""

    store_class = Store

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = self.store_class()
        self.acknowledged = {0: 0, 1: 0}
        self.zombies = []
        self.copies = [self.store.copy()]
        self.intact = True
        self.begin()

    def teardown(self):
        self.store.fates.clear()
        self.finish()
        wanted = Counter((partition, offset) for partition in (0, 1) for offset in range(RECORDS))
        assert self.store.view() == wanted
        assert self.acknowledged == {0: RECORDS, 1: RECORDS}
        self.loop.close()

    def begin(self):
        """A worker without memory, which reads on from what was acknowledged, or what the store holds."""
        self.store.fates.clear()
        for partition, end in self.acknowledged.items():
            held = self.store.held.get(partition, SinkPosition())
            wanted = target(held.offset, end, 0, RECORDS, ("table", SourcePartition(TOPIC, partition)))
            if wanted is not None:
                self.store.held[partition] = renamed(held)
                self.acknowledged[partition] = wanted
        self.sink = Sink(Connection(self.store), NEVER, self.earliest, self.back_to, passed=self.passed)
        self.stay = object()
        self.next = dict(self.acknowledged)

    def passed(self):
        return [
            (ROUTE, {SourcePartition(TOPIC, number): end for number, end in self.acknowledged.items() if end})
        ]

    async def back_to(self, offsets, between):
        """Zombies are no members: what they ask for moves nothing."""
        between()
        if between.__self__ is self.sink:
            self.acknowledged.update({at.partition: offset for at, offset in offsets.items()})
            self.stay = object()
            self.next = dict(self.acknowledged)

    async def earliest(self, partition):
        return 0

    def finish(self):
        for _ in range(ROUNDS):
            for partition in self.next:
                self.deliver(partition, RECORDS, 0)
            self.run(self.sink.flush())
            self.check()
            if self.acknowledged == {0: RECORDS, 1: RECORDS}:
                return

    @rule()
    def check(self):
        """Nothing has come for some time."""

        async def step():
            async with self.sink._lock:
                await self.sink._check()
            await self.sink._return()

        self.run(step())

    def run(self, step):
        try:
            self.loop.run_until_complete(step)
        except Died:
            self.begin()

    @rule(partition=PARTITIONS, count=st.sampled_from([1, 2, 5, 9, RECORDS]), back=st.integers(0, 2))
    def deliver(self, partition, count, back):
        """Some records, perhaps a few that came before."""
        first = max(self.next[partition] - back, 0)
        last = min(self.next[partition] + count, RECORDS) - 1
        if last < first:
            return
        self.next[partition] = max(self.next[partition], last + 1)
        offsets = np.arange(first, last + 1)
        blank: list[bytes | None] = [b"" for _ in offsets]
        batch = RecordBatch(TP(TOPIC, partition), offsets, offsets * 0, blank, blank)
        self.run(self.sink.put(ROUTE, batch, self.acknowledgement(partition, last, self.stay)))

    def acknowledgement(self, partition, last, stay):
        async def acknowledge():
            if stay is self.stay:  # Kafka refuses what a former owner commits
                self.acknowledged[partition] = max(self.acknowledged[partition], last + 1)

        return acknowledge

    @rule(fates=FATES)
    def flush(self, fates):
        self.store.fates = deque(fates)
        self.run(self.sink.flush())
        self.store.fates.clear()

    @rule(fates=FATES)
    def forget_what_is_written(self, fates):
        """The store comes back as it was before rows whose positions are not saved yet."""
        copy = self.store.copy()

        async def step():
            async with self.sink._lock:
                for table in list(self.sink._tables.values()):
                    await self.sink._write(table)
            await self.sink._return()

        self.store.fates = deque(fates)
        self.run(step())
        self.store.fates.clear()
        self.store.restore(copy)
        self.intact = False

    @rule()
    def back_up(self):
        self.copies.append(self.store.copy())

    @rule(data=st.data())
    def come_back_as_it_was(self, data):
        """A copy, the oldest of which is empty: rows were deleted, with their positions."""
        self.store.restore(data.draw(st.sampled_from(self.copies)))
        self.intact = False

    @rule()
    def crash(self):
        self.begin()

    @rule()
    def rebalance(self):
        self.sink.reset()
        self.stay = object()
        self.next = dict(self.acknowledged)

    @rule()
    def freeze(self):
        """The worker stands still beyond its session; another takes over, and it may wake later."""
        self.zombies.append(self.sink)
        self.begin()

    @rule(fates=FATES)
    def zombie_wakes(self, fates):
        if self.zombies:
            self.store.fates = deque(fates)
            zombie = self.zombies.pop()
            with suppress(Died):
                self.loop.run_until_complete(zombie.flush())
            self.store.fates.clear()

    @invariant()
    def what_is_acknowledged_is_there(self):
        for partition, end in self.acknowledged.items() if self.intact else ():
            assert all(self.store.rows[partition, offset] for offset in range(end))


class AtomicDelivery(Delivery):
    store_class = AtomicStore


@pytest.mark.parametrize("machine", [Delivery, AtomicDelivery])
def test_every_record_is_there_once_whatever_happens(machine, monkeypatch):
    monkeypatch.setattr(base.backoff, "__defaults__", (0.0, 0.0))
    examples = 3 * settings().max_examples  # many end after a few steps
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=50))
