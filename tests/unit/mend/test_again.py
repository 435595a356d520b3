"""A mend that is broken off and run again, and what it publishes again."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from k2stream import topics
from k2stream.batch import TP, BatchApp, RecordBatch, Stored, batch_app_options, proof
from k2stream.batch.proof import LogIdentity, Proof, Shown, Verdict
from k2stream.candles.partition import CandlePartition
from k2stream.candles.publisher import CandlePublisher
from k2stream.candles.worker import CandleWorker
from k2stream.exchanges import raw
from k2stream.kafka.positions import GroupBusy
from k2stream.mend import act, plan
from k2stream.mend.look import SourceFound
from k2stream.model.trade import RawTrade
from k2stream.normalizer import SymbolPosition, normalize
from k2stream.replay import tables as tables_module
from k2stream.replay.rebuild import Rebuild
from k2stream.replay.tables import Tables
from k2stream.settings import make
from k2stream.tables import ohlcv
from tests.unit.normalizer.test_normalizer import COINBASE, NOW, batch_of

SETTINGS = make()
START = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = TP(topics.NORMALIZED, 0)
TRADES = 40  # one every 20 s: 14 minutes


class Changelogs:
    """Producers that write to changelogs in memory."""

    def __init__(self, monkeypatch):
        self.entries = []
        for module in (act, tables_module):
            monkeypatch.setattr(module, "producing", self._producing)

    @asynccontextmanager
    async def _producing(self, *_, **__):
        yield self

    async def send(self, topic, value, key, partition):
        self.entries.append((topic, partition, key, value))
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def recovered(self, table):
        """A copy of a table as another run reads it."""
        copy = table.clone()
        mine = [entry for entry in self.entries if entry[0] == table.changelog_topic_name]
        copy.apply_changelog(0, [key for *_, key, _ in mine], [value for *_, value in mine], len(mine))
        return copy


@pytest.fixture
def changelogs(monkeypatch):
    return Changelogs(monkeypatch)


@pytest.fixture
def declared():
    return ohlcv.declare(BatchApp("k2-candles", **batch_app_options("127.0.0.1:1")), 1)


@pytest.fixture
def tables(declared):
    return {table.name: table for table in (*declared.windows.values(), declared.progress)}


def time_us(seconds):
    return int((START + timedelta(seconds=seconds)).timestamp() * 1e6)


def record(n):
    at = START + timedelta(seconds=20 * n)
    trade = {
        "trade_id": str(n),
        "product_id": "BTC-USD",
        "price": str(100 + n),
        "size": "0.1",
        "side": "BUY",
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "type": "update",
    }
    native = RawTrade("BTC-USD", msgspec.json.encode(trade))
    return "BTC-USD", raw.record(native, time_us(20 * n) + 5000, "c", n)


def canonical():
    unknown: dict[str, SymbolPosition] = {}
    batch = batch_of(COINBASE, [record(n) for n in range(TRADES)], partition=0)
    done = normalize(COINBASE, batch, unknown.get, COINBASE.canonical, schema_id=2**32 - 1, process_time=NOW)
    offsets = np.arange(len(done.values))
    return RecordBatch(SOURCE, offsets, np.full(len(offsets), NOW // 1000), [*done.keys], [*done.values])


class Worker:
    """A candles worker on the tables; `published` has (topic, value)."""

    def __init__(self, declared, seconds):
        self.published, self.now = [], time_us(seconds)
        schemas = dict.fromkeys(declared.windows, 2**32 - 2)
        self._publisher = CandlePublisher(self._send, schemas, lambda key: key, 0.2, lambda: 0.0)
        self._declared = declared
        self._worker = CandleWorker(self._publisher, self._restore, lambda: self.now)
        self._worker.recover([0])

    def _restore(self, partition, now):
        given = SETTINGS.candles
        return CandlePartition(
            self._declared.stores(partition),
            self._declared.progress_store(partition),
            grace=given.grace_us,
            idle=given.idle_us,
            retention=given.retention,
            now=now,
        )

    async def _send(self, topic, partition, keys, values):
        self.published += [(topic, value) for value in values]

    async def take(self, batch):
        self._worker.take(batch)
        await self._publisher.drain()

    async def go_on_until(self, seconds):
        """Let the clock close windows that no trade closes."""
        self.now = time_us(seconds)
        self._worker.close_silent(lambda _: True)
        await self._publisher.drain()


@pytest.mark.parametrize("whole", [True, False])
async def test_candles_that_are_right_are_published_again_for_sinks_of_a_lost_topic(
    changelogs, declared, tables, whole
):
    trades, built = canonical(), Rebuild(SETTINGS)
    await Worker(declared, 820).take(trades)
    for table in tables.values():
        table.take_changes()
    built.fold(trades)
    await Tables(tables, built, SETTINGS.candles.retention).repair(SETTINGS.kafka, reopen=True, whole=whole)
    again = Worker(declared, 820)
    await again.go_on_until(2 * 86_400)
    minutes = [value for topic, value in again.published if topic == topics.ohlcv("1m")]
    assert len(minutes) == (14 if whole else 2)  # without, only those that were still open


def found(identity, committed):
    judged = proof.Judgement(Verdict.CONTINUE)
    return SourceFound(SOURCE, committed, committed, identity, Shown(0, committed), judged)


@pytest.mark.parametrize("republish", [True, False])
async def test_what_a_rebuild_loses_is_said_beforehand(republish):
    identity = proof.identity(Proof(9, 1, 1))
    made = await plan.plan(SETTINGS, "candles", [found(identity, 10)], rebuild=True, republish=republish)
    assert made.losses == ["no trade; candles that change are published again, final ones by a revision"]
    assert [step for step in made.steps if "published again, for the sinks" in step] == made.steps[1:]
    assert len(made.steps) == 1 + republish


def stored(tables, committed):
    return Stored(10, committed, tuple(table.identities.get(0) for table in tables))


async def no_members(_):
    return set()


@pytest.fixture
def rebuilt(tables, changelogs, monkeypatch):
    """Tables of a partition read up to offset 10, with the identity of all of them."""
    kept = proof.identity(Proof(9, 1, 1), 4)
    monkeypatch.setattr(act, "members", no_members)
    for table in tables.values():
        table.identities[0] = kept
        changelogs.entries.append((table.changelog_topic_name, 0, b"\0source", proof.write(kept).encode()))
    return kept


async def test_until_a_rebuild_has_come_to_its_end_no_table_is_taken_for_right(changelogs, tables, rebuilt):
    item = found(rebuilt, 10)
    await act._begin_rebuild(SETTINGS.kafka, [item], tables)
    copies = [changelogs.recovered(table) for table in tables.values()]
    begun = stored(copies, rebuilt)
    verdicts = {begun.judge_table(kept, empty=False).verdict for kept in begun.tables}
    assert Verdict.REFUSE in verdicts

    # The run was killed. Another one looks, begins again, and ends.
    again = found(begun.newest, 10)
    await act._begin_rebuild(SETTINGS.kafka, [again], {table.name: table for table in copies})
    goal = LogIdentity(1, act._generation([again]) + 1, Proof(7, 1, 1))  # of a log that is shorter
    await act._identify(SETTINGS.kafka, {SOURCE: goal}, copies)
    ended = stored([changelogs.recovered(table) for table in copies], goal)
    assert set(ended.tables) == {goal}
    assert {ended.judge_table(kept, empty=False).verdict for kept in ended.tables} == {Verdict.CONTINUE}


async def test_a_worker_that_starts_amid_a_rebuild_ends_it(tables, rebuilt, monkeypatch):
    async def busy(_):
        return {"k2-candles", "k2-hot"}

    monkeypatch.setattr(act, "members", busy)
    with pytest.raises(GroupBusy, match="workers of k2-candles have started: stop them, and mend again"):
        await act._begin_rebuild(SETTINGS.kafka, [found(rebuilt, 10)], tables)


async def test_a_mend_that_cannot_commit_leaves_where_to_read_on(changelogs, tables, rebuilt, monkeypatch):
    def busy(*_):
        raise GroupBusy("a worker has started")

    monkeypatch.setattr(act, "GroupPositions", busy)
    goal = LogIdentity(1, 5, Proof(299, 1, 1))
    with pytest.raises(GroupBusy):
        await act._write(SETTINGS.kafka, "k2-candles", {SOURCE: (300, goal)}, tables)
    left = stored([changelogs.recovered(table) for table in tables.values()], rebuilt)
    assert left.start(0) == left.position == 300
