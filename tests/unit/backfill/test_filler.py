"""When an event counts as answered.

The mutant "commits before its answer is durable" fails
`test_an_event_is_committed_once_its_answer_is_durable`.
"""

from types import SimpleNamespace

import msgspec
import pytest

from k2stream import exchanges, topics
from k2stream.backfill.filler import Filler
from k2stream.batch import TP
from k2stream.model import events
from k2stream.model.events import EventKind
from tests.fakes import Fake
from tests.unit.backfill.fake_rest import numbered
from tests.unit.backfill.test_fill import answers, gap, task

PARTITION = TP(topics.FEED_EVENTS, 0)


def record(offset, event, key=b"binance"):
    return SimpleNamespace(topic="events", partition=0, offset=offset, key=key, value=events.encode(event))


class Group(Fake):
    """Notes with each commit how many answers were durable by then."""

    def __init__(self, publisher):
        self.publisher = publisher
        self.commits = []

    async def commit(self, tp, offset):
        assert tp == PARTITION
        self.commits.append((offset, len(answers(self.publisher))))


async def test_an_event_is_committed_once_its_answer_is_durable():
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(*range(20))})
    group = Group(publisher)
    records = [record(5, gap(1, 2)), record(6, gap(4, 4)), record(7, gap(9, 9, exchange="kraken"), b"kraken")]
    await Filler(work)._answer(group, PARTITION, records)
    assert group.commits == [(6, 1), (7, 2), (8, 2)]


async def test_an_event_whose_answer_fails_is_not_committed():
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(*range(20))})
    group = Group(publisher)

    async def publish(columns):
        raise RuntimeError("Kafka is away")

    publisher.publish = publish
    with pytest.raises(RuntimeError):
        await Filler(work)._answer(group, PARTITION, [record(5, gap(1, 2))])
    assert group.commits == []


async def test_a_gap_without_ids_does_not_stop_those_behind_it():
    work, publisher = task(exchanges.get("binance"), {"BTCUSDT": numbered(*range(20))})
    group = Group(publisher)
    broken = msgspec.structs.replace(gap(1, 2), last_missing=None)
    await Filler(work)._answer(group, PARTITION, [record(5, broken), record(6, gap(4, 4))])
    assert group.commits == [(7, 1), (7, 1)]


async def test_events_of_others_and_what_is_none_are_passed_over():
    work, publisher = task(exchanges.get("binance"), {})
    group = Group(publisher)
    junk = SimpleNamespace(topic="events", partition=0, offset=9, key=b"binance", value=b"{")
    await Filler(work)._answer(group, PARTITION, [record(8, gap(1, 2, EventKind.DUPLICATE)), junk])
    assert group.commits == [(10, 0)]
