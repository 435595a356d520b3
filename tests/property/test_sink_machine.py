"""The delivery contract as a state machine: deliveries, failures, crashes, rebalances, zombies in any order.

Two destinations: one that saves positions after its rows, as ClickHouse, and one that commits both in one, as
Iceberg. A crash may come before or after each of their calls; then all is read again from what was
acknowledged.
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
from k2stream.sinks import base
from k2stream.sinks.base import Away, Policy, Sink
from k2stream.sinks.progress import Position
from k2stream.sinks.route import Route, delivered

TOPIC = "trades"
RECORDS = 40
PARTITIONS = st.integers(0, 1)
SCHEMA = pa.schema([pa.field("offset", pa.int64())])
ROUTE = Route(
    TOPIC, "table", SCHEMA, lambda batch: delivered(batch, {"offset": pa.array(batch.offsets)}, SCHEMA)
)
NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)

FATES = st.lists(st.sampled_from(["fine", "away", "answer lost", "dies before", "dies after"]), max_size=4)


class Died(BaseException):
    """The worker was killed at this instant."""


class Store:
    """Rows as (partition, offset), and positions; each call meets the next fate."""

    def __init__(self):
        self.fates = deque()
        self.rows = Counter()
        self.held = {}

    def positions(self, route):
        return {partition: Position(offset) for partition, offset in self.held.items()}

    def write(self, route, batch):
        return self._call(lambda: self._write(batch))

    def save(self, positions):
        saved = {partition.partition: position.offset for (_, partition), position in positions.items()}
        self._call(lambda: self._save(saved))

    def close(self):
        pass

    def view(self):
        """Rows as a reader sees them."""
        return Counter(set(self.rows))

    def _call(self, action):
        fate = self.fates.popleft() if self.fates else "fine"
        if fate == "away":
            raise Away(fate)
        if fate == "dies before":
            raise Died
        result = action()
        if fate == "answer lost":
            raise Away(fate)
        if fate == "dies after":
            raise Died
        return result

    def _write(self, batch):
        return self._add(batch, {})

    def _add(self, batch, held):
        count = 0
        for piece in batch.pieces:
            partition = piece.partition.partition
            for offset in piece.rows["offset"].to_pylist():
                if offset > held.get(partition, -1):
                    self.rows[partition, offset] += 1
                    count += 1
        return count

    def _save(self, saved):
        for partition, offset in saved.items():
            self.held[partition] = max(offset, self.held.get(partition, -1))


class AtomicStore(Store):
    """Rows and positions are one commit, and what the table holds is left out."""

    def _write(self, batch):
        added = self._add(batch, dict(self.held))
        super()._save({partition.partition: found.offset for partition, found in batch.positions.items()})
        return added

    def _save(self, saved):
        pass

    def view(self):
        return self.rows


class Delivery(RuleBasedStateMachine):
    """A topic of two partitions, one consumer group, one worker at a time and perhaps its zombie."""

    store_class = Store

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = self.store_class()
        self.acknowledged = {0: 0, 1: 0}
        self.zombies = []
        self.begin()

    def teardown(self):
        self.store.fates.clear()
        self.finish()
        wanted = Counter((partition, offset) for partition in (0, 1) for offset in range(RECORDS))
        assert self.store.view() == wanted
        assert self.acknowledged == {0: RECORDS, 1: RECORDS}
        self.loop.close()

    def begin(self):
        """A worker without memory, which reads on from what was acknowledged."""
        self.sink = Sink(self.store, NEVER, self.earliest)
        self.stay = object()
        self.next = dict(self.acknowledged)

    async def earliest(self, partition):
        return 0

    def finish(self):
        for partition in self.next:
            self.deliver(partition, RECORDS, 0)
        self.run(self.sink.flush())

    def run(self, step):
        try:
            self.loop.run_until_complete(step)
        except Died:
            self.begin()

    @rule(partition=PARTITIONS, count=st.integers(1, 9), back=st.integers(0, 2))
    def deliver(self, partition, count, back):
        """Some records, perhaps a few that came before."""
        first = max(self.next[partition] - back, 0)
        last = min(self.next[partition] + count, RECORDS) - 1
        if last < first:
            return
        self.next[partition] = max(self.next[partition], last + 1)
        offsets = np.arange(first, last + 1)
        blank = [b"" for _ in offsets]
        batch = RecordBatch(TP(TOPIC, partition), offsets, offsets * 0, blank, list(blank))
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
        for partition, end in self.acknowledged.items():
            assert all(self.store.rows[partition, offset] for offset in range(end))


class AtomicDelivery(Delivery):
    store_class = AtomicStore


@pytest.mark.parametrize("machine", [Delivery, AtomicDelivery])
def test_every_record_is_there_once_whatever_happens(machine, monkeypatch):
    monkeypatch.setattr(base.backoff, "__defaults__", (0.0, 0.0))
    examples = 5 * settings().max_examples  # many end after a few steps
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=50))
