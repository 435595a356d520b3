"""No record is lost, and none is repeated that need not be: stops, kills, joins and leaves."""

import json

import pytest

from k2stream.batch._changes import RESERVED

pytestmark = pytest.mark.integration

RECORDS = 100_000


async def fill(kafka, start, records):
    await kafka.create(start.out)
    await kafka.fill(start.source, records)


async def outputs(kafka, start):
    """Numbers written to the out topic, by partition."""
    return {p: [int(r.value) for r in records] for p, records in (await kafka.read(start.out)).items()}


async def assert_state_exact(kafka, start, each):
    changelog = await kafka.read(f"{start.app}-state-changelog")
    for entries in changelog.values():
        records = [record for record in entries if not record.key.startswith(RESERVED)]
        assert json.loads(records[-1].key) == "position"
        assert json.loads(records[-1].value) == [each, each - 1]
        positions = [json.loads(record.value)[1] for record in records]
        assert positions == sorted(positions)


async def test_graceful_stops_lose_and_repeat_nothing(kafka, start):
    await fill(kafka, start, RECORDS)
    async with start("forward", PAUSE="0.01") as first:
        await first.until(lambda _: first.sum("batch") > RECORDS // 4)
        assert await first.stop() == 0
    offsets, lag = await kafka.committed(start.app, start.source)
    assert 0 < lag < RECORDS
    async with start("forward") as second:
        await kafka.caught_up(start.app, start.source)
        assert await second.stop() == 0
    assert first.sum("replayed") == second.sum("replayed") == 0
    assert first.sum("batch") == sum(offsets)
    assert await outputs(kafka, start) == {p: list(range(RECORDS // 4)) for p in range(4)}
    await assert_state_exact(kafka, start, RECORDS // 4)


async def test_killed_workers_leave_exact_state(kafka, start):
    await fill(kafka, start, RECORDS)
    for kill_after in (RECORDS // 20, RECORDS // 5):
        # A static member is replaced at once: no session timeout to wait for.
        async with start("forward", PAUSE="0.01", INSTANCE="one") as worker:
            await worker.until(lambda _, w=worker, n=kill_after: w.sum("batch") > n)
            await worker.kill()
    async with start("forward", INSTANCE="one") as worker:
        await kafka.caught_up(start.app, start.source)
    await assert_state_exact(kafka, start, RECORDS // 4)
    for numbers in (await outputs(kafka, start)).values():
        # Replays repeat stretches; in first-seen order nothing is missing.
        assert list(dict.fromkeys(numbers)) == list(range(RECORDS // 4))


async def test_a_join_and_a_leave_repeat_nothing(kafka, start):
    await kafka.create(start.out)
    async with start("forward", PAUSE="0.06", FETCH="8192") as first:
        async with kafka.growing(start.source, 2_000) as fillings:
            await first.until(lambda _: first.sum("batch") > 6_000)
            async with start("forward", PAUSE="0.03", FETCH="8192") as second:
                await second.until(lambda _: second.sum("batch") > 3_000)
                assert await second.stop() == 0
        await kafka.caught_up(start.app, start.source)
    each = sum(fillings) // 4
    assert first.sum("replayed") == second.sum("replayed") == 0
    assert await outputs(kafka, start) == {p: list(range(each)) for p in range(4)}
    await assert_state_exact(kafka, start, each)
    assignments = [fact["partitions"] for fact in first.facts if "partitions" in fact]
    assert [len(partitions) for partitions in assignments] == [4, 2, 4]
