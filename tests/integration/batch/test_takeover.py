"""A worker that dies or freezes is replaced without losing state."""

import json
import os
import signal

import pytest

from k2stream.batch._changes import RESERVED

pytestmark = pytest.mark.integration

EACH = 8_000


def state(records):
    return json.loads([record for record in records if not record.key.startswith(RESERVED)][-1].value)


async def test_a_standby_takes_over_where_the_dead_worker_was(kafka, start):
    await kafka.create(start.out)
    await kafka.fill(start.source, 4 * EACH)
    slow = {"PAUSE": "0.05", "FETCH": "16384", "STANDBYS": "1"}
    async with start("forward", **slow) as first, start("forward", **slow) as second:
        await second.until(lambda _: second.sum("batch") > 3_000)
        await first.kill()
        # The session of a dead worker lasts 6 s.
        await kafka.caught_up(start.app, start.source)
    for records in (await kafka.read(f"{start.app}-state-changelog")).values():
        assert state(records) == [EACH, EACH - 1]


@pytest.mark.fault
async def test_a_worker_told_to_stop_amid_a_rebalance_ends(kafka, start):
    await kafka.create(start.out)
    await kafka.fill(start.source, 4)
    moments = (b"Subscribed to", b"Discovered coordinator", b"Revoking", b"joining group", b"Joined group")
    async with start("forward") as first:
        await first.ready()
        for moment in moments:
            async with start("forward") as other:
                await other.until(lambda _, moment=moment, other=other: moment in other.log.read_bytes())
                await other.stop()


async def test_a_frozen_worker_returns_without_harm(kafka, start):
    await kafka.create(start.out)
    await kafka.fill(start.source, 4 * EACH)
    slow = {"PAUSE": "0.05", "FETCH": "16384"}
    async with start("forward", **slow) as zombie:
        await zombie.until(lambda _: zombie.sum("batch") > 3_000)
        async with start("forward", **slow) as other:
            await other.ready()
            os.kill(zombie.process.pid, signal.SIGSTOP)
            await other.until(lambda facts: any(len(f.get("partitions", ())) == 4 for f in facts))
            os.kill(zombie.process.pid, signal.SIGCONT)
            await kafka.caught_up(start.app, start.source)
    for partition, records in (await kafka.read(start.out)).items():
        numbers = [int(record.value) for record in records]
        assert list(dict.fromkeys(numbers)) == list(range(EACH)), partition
    for records in (await kafka.read(f"{start.app}-state-changelog")).values():
        assert state(records) == [EACH, EACH - 1]
