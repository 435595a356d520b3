"""The progress of a table: a state machine held to a model of Kafka, a destination and a crash."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from k2stream.delivery.progress import (
    OffsetGap,
    Piece,
    SinkBatch,
    SinkPosition,
    SinkProgress,
    SourcePartition,
)

TOPIC = "trades"
PARTITIONS = [SourcePartition(TOPIC, 0), SourcePartition(TOPIC, 1)]


def piece(partition, first, last, **marks):
    return Piece(
        partition, first, last, marks, list(range(first, last + 1)), last - first + 1, (partition, last)
    )


def taken(progress: SinkProgress) -> SinkBatch:
    """The batch to write, where there is one."""
    batch = progress.take()
    assert batch is not None
    return batch


def test_a_batch_is_named_by_its_ranges():
    batch = SinkBatch((piece(PARTITIONS[1], 5, 6), piece(PARTITIONS[0], 0, 3), piece(PARTITIONS[1], 7, 9)))
    assert batch.token == "trades:0:0-3,trades:1:5-9"
    assert batch.size == 9
    assert batch.positions[PARTITIONS[1]].offset == 9


def test_offsets_that_leave_a_hole_are_refused():
    progress = SinkProgress()
    progress.assign(PARTITIONS[0], SinkPosition(9))
    with pytest.raises(OffsetGap, match="trades:0: offset 12 comes after 9"):
        progress.put(PARTITIONS[0], 12, 13, {}, [], 0, None)


def test_what_was_read_before_is_acknowledged_in_its_turn_and_moves_nothing_back():
    progress = SinkProgress()
    progress.assign(PARTITIONS[0], SinkPosition(-1))
    progress.put(PARTITIONS[0], 0, 9, {"x": 1}, list(range(10)), 10, "first")
    progress.put(PARTITIONS[0], 3, 5, {"x": 1}, [], 0, "again")
    batch = taken(progress)
    assert batch.positions == {PARTITIONS[0]: SinkPosition(9, {"x": 1})}
    assert progress.done(batch) == ["first", "again"]


def test_compact_keeps_ranges_and_receipts():
    progress = SinkProgress()
    progress.assign(PARTITIONS[0], SinkPosition(-1))
    for first in (0, 2, 4):
        progress.put(PARTITIONS[0], first, first + 1, {}, [first, first + 1], 2, first)
    before = taken(progress).token
    progress.reset()
    progress.assign(PARTITIONS[0], SinkPosition(-1))
    for first in (0, 2, 4):
        progress.put(PARTITIONS[0], first, first + 1, {}, [first, first + 1], 2, first)
    progress.compact(lambda rows: ([max(max(part) for part in rows)], 1), [])
    batch = taken(progress)
    assert (batch.token, batch.size, [p.rows for p in batch.pieces]) == (before, 1, [[], [], [5]])
    assert batch.receipts == [0, 2, 4]


class Delivery(RuleBasedStateMachine):
    """Kafka delivers from its committed offset; rows are written, then positions, then acknowledged."""

    def __init__(self):
        super().__init__()
        self.log = dict.fromkeys(PARTITIONS, 0)  # records produced
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.delivered = dict.fromkeys(PARTITIONS, 0)
        self.rows = []  # the destination, one entry an insert: what collapses nothing
        self.tokens = {}
        self.saved = dict.fromkeys(PARTITIONS, -1)
        self.start()

    def start(self):
        self.progress = SinkProgress()
        self.unsaved = []
        self.rebalanced()

    def rebalanced(self):
        self.progress.reset()
        self.unsaved = [(batch, []) for batch, _ in self.unsaved]
        self.delivered = dict(self.committed)

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 5))
    def produce(self, partition, count):
        self.log[partition] += count

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 4))
    def deliver(self, partition, count):
        first, end = self.delivered[partition], min(self.delivered[partition] + count, self.log[partition])
        if first == end:
            return
        if self.progress.read(partition) is None:
            self.save()
            self.progress.assign(partition, SinkPosition(self.saved[partition]))
        read = self.progress.read(partition)
        assert read is not None
        rows = [(partition, offset) for offset in range(first, end) if offset > read.offset]
        self.progress.put(partition, first, end - 1, {}, rows, len(rows), (partition, end))
        self.delivered[partition] = end

    @precondition(lambda self: self.progress.waiting or self.progress.take())
    @rule(fate=st.sampled_from(["answered", "answer lost", "never arrived"]))
    def write(self, fate):
        batch = taken(self.progress)
        rows = [row for piece in batch.pieces for row in piece.rows]
        if fate != "never arrived":
            before = self.tokens.setdefault(batch.token, rows)
            assert before == rows, "one token, two contents"
            if before is rows:
                self.rows += rows
        if fate == "answered":
            self.unsaved.append((batch, self.progress.done(batch)))
        else:
            assert self.progress.take() is batch

    @rule()
    def save(self):
        unsaved, self.unsaved = self.unsaved, []
        for batch, receipts in unsaved:
            for partition, position in batch.positions.items():
                self.saved[partition] = max(self.saved[partition], position.offset)
            for partition, end in receipts:
                self.committed[partition] = max(self.committed[partition], end)

    @rule()
    def rebalance(self):
        self.rebalanced()

    @rule()
    def crash(self):
        self.start()

    @invariant()
    def nothing_is_acknowledged_before_it_is_durable(self):
        held = set(self.rows)
        for partition, end in self.committed.items():
            assert all((partition, offset) in held for offset in range(end))
            assert end <= self.saved[partition] + 1

    @invariant()
    def positions_tell_the_truth(self):
        held = set(self.rows)
        for partition, last in self.saved.items():
            assert all((partition, offset) in held for offset in range(last + 1))

    def teardown(self):
        for partition in PARTITIONS:
            while self.delivered[partition] < self.log[partition]:
                self.deliver(partition, 4)
        while self.progress.take():
            self.write("answered")
        self.save()
        assert set(self.rows) == {(p, offset) for p, end in self.log.items() for offset in range(end)}
        assert self.committed == self.log


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def token_of(epoch):
    progress = SinkProgress()
    progress.assign(PARTITIONS[0], SinkPosition(4, epoch=epoch, source="s"))
    progress.put(PARTITIONS[0], 5, 9, {}, "rows", 5, "r")
    batch = taken(progress)
    assert batch.positions == {PARTITIONS[0]: SinkPosition(9, {}, epoch, "s")}
    return batch.token


def test_a_token_names_the_epoch_so_that_a_refill_is_no_retry():
    assert token_of("") == "trades:0:5-9"  # as earlier releases named it
    assert token_of("1") == "trades:0:5-9@1" != token_of("2")


def test_a_batch_that_was_given_up_acknowledges_nothing():
    progress = SinkProgress()
    progress.assign(PARTITIONS[0], SinkPosition(-1))
    progress.put(PARTITIONS[0], 0, 9, {}, list(range(10)), 10, "first stay")
    batch = taken(progress)
    progress.reset()
    assert progress.done(batch) == []
    progress.assign(PARTITIONS[0], SinkPosition(-1))
    progress.put(PARTITIONS[0], 0, 9, {}, list(range(10)), 10, "second stay")
    again = taken(progress)
    assert progress.done(batch) == []  # nor does it end the one in flight now
    assert progress.done(again) == ["second stay"]


def test_a_position_says_what_its_offsets_are_of():
    progress = SinkProgress()
    progress.assign(PARTITIONS[0], SinkPosition(9, epoch="e", source="ten"))
    progress.put(PARTITIONS[0], 5, 9, {}, [], 0, "replay", "five to nine")  # brings nothing new
    position = progress.read(PARTITIONS[0])
    assert position and position.source == "ten"
    progress.put(PARTITIONS[0], 10, 14, {}, [], 0, "next", "up to fourteen")
    progress.put(PARTITIONS[0], 15, 16, {}, [], 0, "marker")  # no record in it
    assert taken(progress).positions == {PARTITIONS[0]: SinkPosition(16, {}, "e", "up to fourteen")}
