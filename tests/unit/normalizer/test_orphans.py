"""Trades that were published beyond a table's position, and whose raw records are there or not."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from k2stream import topics
from k2stream.batch import RecordBatch
from k2stream.settings import make
from k2stream.tables import orphans
from k2stream.tables.orphans import PUBLISHED, SELDOM, TradesBeyond
from tests.unit.normalizer.test_normalizer import COINBASE, NOW, batch_of, coinbase, run

SETTINGS = make().kafka
RAW = topics.raw("coinbase")


class FakeTable:
    """A positions table of one partition."""

    active_partitions = frozenset({0})

    def __init__(self, reached, said=b"0"):
        self.reached, self.facts = reached, {PUBLISHED: said} if said is not None else {}

    def reach(self, partition):
        return self.reached

    def fact(self, partition, name):
        return self.facts.get(name)

    def keep(self, partition, name, value):
        self.facts[name] = value


@pytest.fixture
def broker(monkeypatch):
    """Raw records, of which the log has those from `begin` on; what was normalized of all that ever were."""
    made = SimpleNamespace(raw=[coinbase(n) for n in range(10)], begin=0, gone=[])
    made.canonical = run(COINBASE, made.raw, partition=0)

    class Reader:
        def __init__(self, settings, columnar=False):
            pass

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

        async def exists(self, topic):
            return topic not in made.gone

        async def retained(self, topic, partitions):
            return {0: (made.begin, len(made.raw)) if topic == RAW else (0, len(made.canonical.values))}

        async def read(self, topic, stretches):
            begin, end = stretches[0]
            if begin >= end:
                return
            if topic == RAW:
                yield batch_of(COINBASE, made.raw[begin:end], begin, 0)
                return
            values, keys = made.canonical.values[begin:end], made.canonical.keys[begin:end]
            stamps = np.full(len(values), NOW // 1000)
            yield RecordBatch(TP(topic, 0), np.arange(begin, end), stamps, keys, values)

    monkeypatch.setattr(orphans, "Reader", Reader)
    monkeypatch.setattr(orphans, "SETTLE_SECONDS", 0.0)
    return made


def published_beside(table: Any) -> TradesBeyond:
    return TradesBeyond(SETTINGS, COINBASE, table)


async def found(table):
    return (await published_beside(table).orphans([0])).get(0)


@pytest.mark.parametrize("reached", [-1, 4, 9])
async def test_what_a_crash_left_beyond_the_position_is_made_again(broker, reached):
    assert await found(FakeTable(reached)) is None


async def test_a_log_that_ends_below_what_was_published_is_noticed(broker):
    del broker.raw[7:]
    lost = await found(FakeTable(4))
    assert sorted(lost.trades) == [7, 8, 9] and lost.newest == NOW // 1000
    assert "3 trades of its offsets 7 to 9 whose records are not there" in str(lost)


async def test_what_cannot_be_read_is_nobodys(broker):
    """Readers put it with the dead letters; it must not keep the normalizer from starting."""
    broker.canonical.values[6] = b"hello"
    del broker.raw[7:]
    assert sorted((await found(FakeTable(4))).trades) == [7, 8, 9]


async def test_offsets_that_are_used_again_are_noticed(broker):
    _, value = coinbase(100)
    broker.raw[7:] = [("BTC-USD", value.replace(b"%d" % NOW, b"%d" % (NOW + 5)))] * 4
    assert sorted((await found(FakeTable(4))).trades) == [7, 8, 9]


@pytest.mark.parametrize("gone", [RAW, topics.NORMALIZED])
async def test_a_topic_that_is_gone_is_left_to_others(broker, gone):
    broker.gone.append(gone)
    del broker.raw[7:]
    assert await found(FakeTable(4)) is None


async def test_what_was_lifted_or_has_expired_is_no_loss(broker):
    broker.begin = 10
    assert await found(FakeTable(4)) is None


async def test_a_fact_of_a_topic_before_says_nothing_of_the_one_that_is_there(broker):
    del broker.raw[7:]
    assert sorted((await found(FakeTable(4, b"1000000"))).trades) == [7, 8, 9]


@pytest.mark.parametrize("said", [None, b"10"])
async def test_only_what_was_published_since_the_fact_is_looked_at(broker, said):
    del broker.raw[7:]
    assert await found(FakeTable(4, said)) is None


async def test_the_fact_is_kept_seldom_and_only_once_the_position_is_there(broker):
    table, at = FakeTable(4, b"0"), (topics.NORMALIZED, 0)
    published = published_beside(table)
    await published.orphans([0])
    for delivered, reached, wanted in [
        ({}, 9, b"0"),
        ({at: SELDOM - 1}, 9, b"0"),
        ({at: SELDOM}, 8, b"0"),  # what the one before had published is not made again yet
        ({at: SELDOM}, 9, b"%d" % SELDOM),
        ({at: 50}, 9, b"50"),  # the topic was made anew
    ]:
        table.reached = reached
        published.mark(delivered)
        assert table.facts[PUBLISHED] == wanted


async def test_a_new_table_begins_with_the_end_of_the_topic(broker):
    table = FakeTable(-1, None)
    published = published_beside(table)
    assert await published.begin()
    assert table.facts[PUBLISHED] == b"10"
    assert not await published.begin()
    broker.gone.append(topics.NORMALIZED)
    assert not await published_beside(FakeTable(-1, None)).begin()
