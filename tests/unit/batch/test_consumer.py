"""Positions and commits of the consumer, against a client that is driven by hand.

The mutant "no membership check before flush and commit" fails
`test_a_worker_that_was_replaced_flushes_and_commits_nothing`, "seek without waiting for the fetch in flight"
`test_a_seek_waits_for_the_fetch_in_flight`.
"""

import asyncio

import pytest
from faust.types import TP

from k2stream.batch import BatchTable

TP0 = TP("t", 0)


class Client:
    """In place of the consumer's thread: what was called of it, in order."""

    def __init__(self):
        self.calls = []
        self.member = True
        self.assigned = {TP0}

    async def is_member(self):
        return self.member

    async def topic_ids(self, topics):
        return {}

    def assignment(self):
        return self.assigned

    async def commit(self, offsets):
        self.calls.append(("commit", dict(offsets)))
        return True

    async def seek_wait(self, partitions):
        self.calls.append(("seek", dict(partitions)))

    async def seek_to_committed(self):
        self.calls.append(("seek to committed", {}))
        return {TP0: 7}


@pytest.fixture
async def consumer(app):
    consumer = app.consumer
    consumer._thread = Client()

    async def barrier():
        consumer._thread.calls.append(("flush", {}))

    app.producer.barrier = barrier
    return consumer


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_commit_follows_a_flush(consumer):
    assert await consumer._commit_offsets({TP0: 5, TP("t", 1): 9})
    assert consumer._thread.calls == [("flush", {}), ("commit", {TP0: 5})]  # only of what is assigned


async def test_a_worker_that_was_replaced_flushes_and_commits_nothing(consumer):
    consumer._thread.member = False
    assert not await consumer._commit_offsets({TP0: 5})
    assert consumer._thread.calls == []


async def test_a_worker_that_was_replaced_forgets_what_its_tables_hold_and_one_that_was_not_does_not(
    app, consumer
):
    table = app.tables.add(BatchTable(app, name="state", partitions=1))
    table.put(0, "a", 1)
    await consumer._forget_tables_if_replaced()
    assert dict(table) == {"a": 1}
    consumer._thread.member = False
    await consumer._forget_tables_if_replaced()
    assert dict(table) == {} and not table.take_changes()


@pytest.mark.parametrize(
    ("seek", "called"),
    [
        (lambda consumer: consumer.seek_wait({TP0: 3}), ("seek", {TP0: 3})),
        (lambda consumer: consumer.perform_seek(), ("seek to committed", {})),
    ],
    ids=["changelogs", "committed"],
)
async def test_a_seek_waits_for_the_fetch_in_flight(consumer, seek, called):
    """A fetch that is answered after the seek takes records from the new position."""
    consumer._fetch_idle.clear()
    seeking = asyncio.create_task(seek(consumer))
    await settle()
    assert consumer._thread.calls == []
    consumer._fetch_idle.set()
    await seeking
    assert consumer._thread.calls == [called]
