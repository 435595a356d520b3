"""What a failure must stop: a commit of work that is not durable, or not done."""

import pytest

pytestmark = pytest.mark.integration


async def test_a_failed_agent_stops_the_worker_and_its_batch_is_not_committed(kafka, start):
    await kafka.fill(start.source, 8_000)
    async with start("failing", FAIL_AT="1500", FETCH="8192", PAUSE="0.05", COMMIT="0.1") as worker:
        assert await worker.end() != 0
    assert "failed on purpose" in worker.log.read_text()
    failed = worker.facts[-1]
    assert failed["first"] <= 1500 <= failed["last"]
    offsets, _ = await kafka.committed(start.app, start.source)
    # The batch that failed is read again, wherever the partitions before it got to.
    assert max(offsets) <= 1500
    assert failed["first"] in offsets or max(offsets) < failed["first"]


async def test_a_failed_delivery_stops_the_commit_and_the_worker(kafka, start):
    # The broker refuses every batch above 200 bytes.
    await kafka.create(start.out, {"max.message.bytes": "200"})
    await kafka.fill(start.source, 8_000)
    async with start("forward") as worker:
        assert await worker.end() != 0
    assert worker.sum("batch") > 0
    assert "MessageSizeTooLargeError" in worker.log.read_text()
    assert await kafka.committed(start.app, start.source) == ([0, 0, 0, 0], 8_000)
    # The outputs were never durable, so neither is the state that would suppress their replay.
    assert not any((await kafka.read(f"{start.app}-state-changelog")).values())


async def test_acknowledgements_by_hand_commit_only_what_they_cover(kafka, start):
    await kafka.fill(start.source, 40_000)
    async with start("sink", HOLD="3", FETCH="8192") as worker:
        await worker.until(lambda facts: len(facts) >= 3)
        offsets = [0] * 4
        while not sum(offsets):
            offsets, _ = await kafka.committed(start.app, start.source)
        await worker.kill()
    acked = {(partition, offset) for fact in worker.facts for partition, offset in fact["acked"]}
    assert all(offset == 0 or (partition, offset) in acked for partition, offset in enumerate(offsets))


async def test_a_stop_commits_what_a_manual_sink_acknowledged(kafka, start):
    await kafka.fill(start.source, 8_000)
    async with start("sink", HOLD="1") as worker:
        await worker.until(lambda facts: sum(fact["acked"][0][1] == 2000 for fact in facts) == 4)
        assert await worker.stop() == 0
    assert await kafka.committed(start.app, start.source) == ([2000] * 4, 0)
