"""Back-pressure, recovery in bulk, latency."""

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

pytestmark = pytest.mark.integration


async def test_a_slow_agent_pauses_its_topic_and_keeps_its_partitions(kafka, start):
    await kafka.fill(start.source, 200_000)
    # Every batch takes longer than the session timeout of 6 s, were heartbeats tied to it.
    async with start("slow", MAX_UNACKED="10000", PAUSE="6.5", FETCH="16384") as worker:
        await worker.until(lambda facts: len(facts) >= 2)
        facts = list(worker.facts)
        await worker.kill()
    assert {fact["generation"] for fact in facts} == {1}
    batch = max(fact["batch"] for fact in facts)
    # One batch was acknowledged just now; a fetch brings at most one per partition beyond the bound.
    assert 10_000 - batch <= facts[-1]["unacked"] <= 10_000 + 4 * batch
    assert "Rebalance" not in worker.log.read_text()


async def test_records_that_come_between_two_fetches_are_delivered_together(kafka, start):
    await kafka.create(start.out)
    async with start("forward", GATHER="0.3") as worker:
        await worker.ready()
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            began = time.monotonic()
            for n in range(100):
                await producer.send_and_wait(start.source, b"%d" % n, key=b"k", partition=1)
                await asyncio.sleep(0.01)
            took = time.monotonic() - began
        await worker.until(lambda facts: sum(fact.get("batch", 0) for fact in facts) == 100)
        batches = [fact["batch"] for fact in worker.facts if "batch" in fact]
    assert batches[0] < 5  # what is there is delivered at once
    assert len(batches) <= 2 + took / 0.3


async def test_a_changelog_of_200_000_entries_recovers_in_bulk(kafka, start):
    changelog = f"{start.app}-state-changelog"
    await kafka.create(changelog, {"cleanup.policy": "compact"})
    await kafka.fill(changelog, 160_000, key=b'"k%d"')
    await kafka.fill(changelog, 40_000, key=b'"k%d"', value=b"1%d")
    async with start("recover") as worker:
        await worker.until(lambda facts: facts)
    each = sum(int(f"1{n}") for n in range(10_000)) + sum(range(10_000, 40_000))
    assert worker.facts[0]["keys"] == 160_000
    assert worker.facts[0]["total"] == 4 * each


async def test_each_record_passes_at_once_however_seldom_positions_are_committed(kafka, start):
    await kafka.create(start.out)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, fetch_max_wait_ms=50)
    async with start("forward", COMMIT="600") as worker:
        await producer.start()
        await consumer.start()
        tp = TopicPartition(start.out, 1)
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        await worker.ready()
        for n in range(150):
            await producer.send_and_wait(start.source, json.dumps(n).encode(), key=b"k", partition=1)
            record = await asyncio.wait_for(consumer.getone(), 60)
            assert json.loads(record.value) == n
        await producer.stop()
        await consumer.stop()
        assert await worker.stop() == 0
