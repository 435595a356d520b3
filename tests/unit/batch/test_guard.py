"""When a consumer's positions are asked for, adopted and refused, against a broker that is played."""

from types import SimpleNamespace

import msgspec
import pytest
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from k2stream.batch import _guard as module
from k2stream.batch import proof
from k2stream.batch._guard import Guard, Unanswered
from k2stream.batch.proof import Shown, proof_of
from k2stream.model.errors import StateRefused
from tests.fakes import Fake

TP0 = TP("raw", 0)


class Thread:
    """The consumer's thread: a broker with one log of records (timestamp, key, value)."""

    def __init__(self, log):
        self.log, self.begin, self.identities = log, 0, {}
        self.group = {}
        self.failures = self.behind = self.looks = 0

    def _record(self, offset):
        return proof_of(offset, *self.log[offset]) if self.begin <= offset < len(self.log) else None

    async def committed(self, tps):
        return self.group

    async def look(self, wanted):
        self.looks += 1
        if self.failures:
            self.failures -= 1
            raise NotLeaderForPartitionError
        end = len(self.log)
        if self.behind:
            self.behind -= 1
            end -= 5
        return {
            tp: Shown(self.begin, end, self._record(offset) if offset < end else None)
            for tp, offset in wanted.items()
        }

    async def records_at(self, wanted):
        return {tp: self._record(offset) for tp, offset in wanted.items()}


class Table(SimpleNamespace):
    def partition_items(self, number):
        return self.items

    def reach(self, number):
        return self.reached

    def identify(self, number, kept):
        self.identities[number] = kept


class Consumer(Fake):
    """What a guard asks of its consumer."""

    def __init__(self, log, *tables):
        self._thread, self.tables = Thread(log), list(tables)

    def tables_of(self, topic):
        return self.tables

    async def commit_noted(self, offsets):
        thread = self._thread
        thread.group = {
            tp: OffsetAndMetadata(offset, thread.identities.get((*tp, offset), ""))
            for tp, offset in offsets.items()
        }
        return True


def log(count, what=b"trade"):
    return [(1000 + n, b"k", what + b"%d" % n) for n in range(count)]


def table(items=("x",), identities=None, reached=-1):
    return Table(name="state", items=items, identities=dict(identities or {}), reached=reached)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def patient(soon, monkeypatch):
    """However slow the machine is, no time runs out: what is awaited comes after a number of answers."""
    monkeypatch.setattr(module, "SETTLE_SECONDS", 300.0)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 300.0)


async def committed(consumer, guard, offset):
    """Commit as a worker does, with the proof of what was read."""
    guard.identify({TP0: consumer._thread._record(offset - 1)}, {TP0: offset})
    await consumer.commit_noted({TP0: offset})


async def test_a_log_that_is_the_one_that_was_read_is_gone_on_with():
    consumer = Consumer(log(20))
    guard = Guard(consumer, "k2-normalize")
    await guard.check({TP0})
    await committed(consumer, guard, 10)
    consumer._thread.log += log(5)
    await Guard(consumer, "k2-normalize").check({TP0})
    await guard.still({TP0})


@pytest.mark.parametrize("length", [5, 10, 50])
async def test_one_that_was_recreated_is_refused_at_assignment_and_before_a_commit(length):
    consumer = Consumer(log(20))
    guard = Guard(consumer, "k2-normalize")
    await committed(consumer, guard, 10)
    consumer._thread.log = log(length, b"new")
    with pytest.raises(StateRefused, match="`k2 mend normalize`"):
        await Guard(consumer, "k2-normalize").check({TP0})
    with pytest.raises(StateRefused, match="k2 mend"):
        await guard.still({TP0})


async def test_a_log_of_nothing_but_markers_of_transactions_is_gone_on_with(monkeypatch):
    """A position without a record before it, and a table that holds nothing, were taken for a lost one."""
    made = table(items=())
    consumer = Consumer(log(0), made)
    guard = Guard(consumer, "k2-normalize")
    await guard.check({TP0})
    monkeypatch.setattr(consumer._thread, "_record", lambda offset: None)
    consumer._thread.log = log(6)
    guard.identify({}, {TP0: 6})
    await consumer.commit_noted({TP0: 6})
    await guard.still({TP0})
    await Guard(consumer, "k2-normalize").check({TP0})
    made.identities.clear()
    with pytest.raises(StateRefused, match="covers nothing"):
        await Guard(consumer, "k2-normalize").check({TP0})


@pytest.mark.usefixtures("patient")
async def test_no_answer_is_no_mismatch():
    consumer = Consumer(log(20))
    await committed(consumer, Guard(consumer, "k2-normalize"), 10)
    consumer._thread.failures = 5
    await Guard(consumer, "k2-normalize").check({TP0})
    assert consumer._thread.looks == 6


@pytest.mark.usefixtures("patient")
async def test_a_leader_that_is_behind_is_asked_until_it_has_settled():
    consumer = Consumer(log(10))
    await committed(consumer, Guard(consumer, "k2-normalize"), 10)
    consumer._thread.behind = 3
    await Guard(consumer, "k2-normalize").check({TP0})
    assert consumer._thread.looks == 4


async def test_a_broker_that_never_answers_ends_the_worker_and_refuses_nothing():
    consumer = Consumer(log(20))
    await committed(consumer, Guard(consumer, "k2-normalize"), 10)
    consumer._thread.failures = 10_000
    with pytest.raises(Unanswered):
        await Guard(consumer, "k2-normalize").check({TP0})


async def test_offsets_of_an_earlier_release_are_adopted_once_and_guarded_from_there_on(caplog):
    consumer = Consumer(log(20))
    consumer._thread.group = {TP0: OffsetAndMetadata(10, "")}
    await Guard(consumer, "k2-normalize").check({TP0})
    identity = proof.read(consumer._thread.group[TP0].metadata)
    assert identity and identity.proof == consumer._thread._record(9)
    assert "raw[0] at 10" in caplog.text
    consumer._thread.log = log(50, b"new")
    with pytest.raises(StateRefused):
        await Guard(consumer, "k2-normalize").check({TP0})


async def test_tables_of_an_earlier_release_are_adopted_with_them():
    """The offset alone would say at the next start that the table covers nothing."""
    held = table()
    consumer = Consumer(log(20), held)
    consumer._thread.group = {TP0: OffsetAndMetadata(10, "")}
    await Guard(consumer, "k2-candles").check({TP0})
    assert held.identities[0].proof == consumer._thread._record(9)
    await Guard(consumer, "k2-candles").check({TP0})


async def test_they_are_not_adopted_when_the_log_ends_before_them():
    consumer = Consumer(log(9))
    consumer._thread.group = {TP0: OffsetAndMetadata(10, "")}
    with pytest.raises(StateRefused, match="ends at offset 9"):
        await Guard(consumer, "k2-normalize").check({TP0})


async def test_offsets_that_went_with_their_topic_are_known_from_the_table():
    """Kafka deletes a group's offsets with the topic: the table still says what it was made from."""
    held = table()
    consumer = Consumer(log(20), held)
    await committed(consumer, Guard(consumer, "k2-normalize"), 10)
    consumer._thread.group, consumer._thread.log = {}, log(50, b"new")
    with pytest.raises(StateRefused, match="recreated"):
        await Guard(consumer, "k2-normalize").check({TP0})
    consumer = Consumer(log(7), table(reached=9))  # of an earlier release, by its contents
    with pytest.raises(StateRefused, match="everything before 10 was read"):
        await Guard(consumer, "k2-normalize").check({TP0})


async def test_a_table_that_lacks_what_was_committed_is_refused():
    consumer = Consumer(log(20), table())
    await committed(consumer, Guard(consumer, "k2-candles"), 10)
    consumer.tables = [table(items=())]
    with pytest.raises(StateRefused, match=r"table state, partition 0.*covers nothing.*k2 mend candles"):
        await Guard(consumer, "k2-candles").check({TP0})


@pytest.mark.parametrize("stateful", [True, False])
async def test_what_expired_unread_is_refused_by_state_and_told_by_others(stateful, caplog):
    held = table()
    consumer = Consumer(log(20), held) if stateful else Consumer(log(20))
    guard = Guard(consumer, "k2-candles")
    await committed(consumer, guard, 10)
    consumer._thread.begin = 15
    if stateful:
        for asked in (guard.check({TP0}), guard.lost({TP0: 10})):
            with pytest.raises(StateRefused, match=r"offsets 10 to 14 \(5 records\) have expired"):
                await asked
    else:
        await guard.check({TP0})
        assert await guard.lost({TP0: 10}) == {TP0: 15}
        assert "offsets 10 to 14 (5 records) have expired" in caplog.text


def left_behind(consumer, offset, generation=0):
    """The group's committed offset, as it was before the tables were written last."""
    kept = proof.identity(consumer._thread._record(offset - 1) or proof.Proof(offset - 1, 1, 1), generation)
    consumer._thread.group = {TP0: OffsetAndMetadata(offset, proof.write(kept))}


@pytest.mark.parametrize("begin", [0, 300])
async def test_where_a_mend_begins_that_could_not_commit_is_committed_by_the_worker(begin, caplog):
    """It writes the tables first. The group's offset is of the log before, or of what has expired."""
    new = log(700, b"new")
    mended = msgspec.structs.replace(proof.identity(proof_of(299, *new[299]), 1), resume=300)
    consumer = Consumer(new, table(identities={0: mended}))
    consumer._thread.begin = begin
    left_behind(consumer, 500 if begin == 0 else 100)
    assert await Guard(consumer, "k2-candles").check({TP0})
    assert consumer._thread.group[TP0].offset == 300
    assert "reading continues where the tables begin" in caplog.text
    assert not await Guard(consumer, "k2-candles").check({TP0})


async def test_what_the_tables_contain_may_expire_before_it_is_committed():
    """A worker was killed between its flush and its commit, and started after the retention."""
    consumer = Consumer(log(600))
    consumer.tables = [table(identities={0: proof.identity(consumer._thread._record(599))}) for _ in range(2)]
    left_behind(consumer, 590)
    consumer._thread.begin = 600
    assert await Guard(consumer, "k2-candles").check({TP0})
    assert consumer._thread.group[TP0].offset == 600
    left_behind(consumer, 590)
    consumer.tables[1].identities[0] = proof.identity(proof.Proof(594, 1, 1))  # one was not flushed
    with pytest.raises(StateRefused, match=r"offsets 595 to 599 .* have expired"):
        await Guard(consumer, "k2-candles").check({TP0})


async def test_tables_of_a_rebuild_that_was_not_brought_to_its_end_are_refused():
    consumer = Consumer(log(20))
    kept = proof.identity(consumer._thread._record(9))
    begun = msgspec.structs.replace(kept, generation=1)
    consumer.tables = [table(identities={0: begun}), table(identities={0: kept})]
    left_behind(consumer, 10)
    with pytest.raises(StateRefused, match=r"table state, partition 0.*was being rebuilt.*k2 mend candles"):
        await Guard(consumer, "k2-candles").check({TP0})


async def test_offsets_that_cannot_be_committed_end_the_worker_without_a_refusal(monkeypatch):
    mended = msgspec.structs.replace(proof.identity(proof_of(9, *log(20)[9]), 1), resume=10)
    consumer = Consumer(log(20), table(identities={0: mended}))

    async def busy(offsets):
        return False

    monkeypatch.setattr(consumer, "commit_noted", busy)
    left_behind(consumer, 5)
    with pytest.raises(Unanswered, match=r"offsets of raw\[0\] could not be committed"):
        await Guard(consumer, "k2-candles").check({TP0})
