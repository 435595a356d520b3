"""A topic to which others write in transactions: their markers take offsets and are no records."""

import pytest
from aiokafka import AIOKafkaProducer

pytestmark = pytest.mark.integration


async def transact(kafka, topic, values, key=b"k"):
    """A transaction a value in each partition: every other offset is a marker, the last one too."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"mirror-{topic}")
    await producer.start()
    try:
        for value in values:
            async with producer.transaction():
                for partition in range(4):
                    await producer.send(topic, value, key, partition=partition)
    finally:
        await producer.stop()


async def test_markers_are_passed_by_agents_tables_and_recovery(kafka, start):
    await kafka.create(start.out)
    await transact(kafka, start.source, [b"1", b"2", b"3"])
    async with start("forward") as worker:
        await kafka.caught_up(start.app, start.source)
        assert await worker.stop() == 0
    assert worker.sum("batch") == 12
    # The changelog ends with a marker, as one that was mirrored does.
    await transact(kafka, f"{start.app}-state-changelog", [b"[3,5]"], b'"position"')
    await transact(kafka, start.source, [b"4"])
    async with start("forward") as worker:
        await kafka.caught_up(start.app, start.source)
        assert await worker.stop() == 0
    assert (worker.sum("batch"), worker.sum("replayed")) == (4, 0)
    found = await kafka.read(start.out)
    for rows in found.values():
        assert [row.value for row in rows] == [b"1", b"2", b"3", b"4"]


async def test_a_sink_is_told_of_offsets_without_records(kafka, start):
    await transact(kafka, start.source, [b"1"])
    async with start("sink", HOLD="1", EMPTY="1") as worker:
        await kafka.caught_up(start.app, start.source)
        await transact(kafka, start.source, [b"2"])
        await kafka.caught_up(start.app, start.source)
        assert await worker.stop() == 0
    assert max(offset for fact in worker.facts for _, offset in fact["acked"]) == 4
