"""State is refused when the topics it refers to are others by now."""

import pytest

from k2stream.kafka.creation import ensure_topics
from k2stream.model.errors import StateRefused
from k2stream.settings import make
from k2stream.topics import changelog
from tests import kafka as broker

pytestmark = pytest.mark.integration

REFUSED = 78


def applied(worker):
    return worker.sum("batch")


BROKERS = pytest.mark.parametrize("ids", ["on", "off"])
"""Topic ids add to what the records prove, where a broker has them."""

EITHER = pytest.mark.parametrize("ids", ["on", pytest.param("off", marks=pytest.mark.fault)])
"""The same in `make fault`."""


async def run(start, kafka, records, ids="on"):
    """A worker that applies `records` and stops in order."""
    await kafka.create(start.out)
    async with start("forward", TOPIC_IDS=ids) as worker:
        await worker.until(lambda _: applied(worker) >= records)
        await worker.stop()


async def recreated(kafka, topic):
    await broker.delete(kafka.bootstrap, topic)
    await kafka.create(topic)


async def refusal(start, ids="on"):
    async with start("forward", TOPIC_IDS=ids) as worker:
        assert await worker.end(60) == REFUSED
        return worker.log.read_text().splitlines()[-1], worker.facts


@BROKERS
async def test_a_source_recreated_is_refused_also_when_it_has_outgrown_the_old_one(start, kafka, ids):
    await kafka.fill(start.source, 400)
    await run(start, kafka, 400, ids)
    await recreated(kafka, start.source)
    await kafka.fill(start.source, 4000, value=b"new %d")
    line, facts = await refusal(start, ids)
    assert f"{start.source}[" in line
    assert ("recreated" if ids == "on" else "is not there") in line
    assert not any("batch" in fact for fact in facts)


@EITHER
async def test_a_source_that_ends_before_what_was_read_is_refused(start, kafka, ids):
    await kafka.fill(start.source, 400)
    await run(start, kafka, 400, ids)
    await recreated(kafka, start.source)
    await kafka.fill(start.source, 40, value=b"new %d")
    line, _ = await refusal(start, ids)
    assert "ends at offset 10, but everything before 100 was read" in line


async def anew_under_a_running_worker(start, kafka, topic, count, value, ids="on"):
    """A topic recreated once 400 records are applied, and `count` new ones; how the next worker refuses."""
    await kafka.fill(start.source, 400)
    await kafka.create(start.out)
    async with start("forward", TOPIC_IDS=ids) as worker:
        await worker.until(lambda _: applied(worker) >= 400)
        await kafka.caught_up(start.app, start.source)
        await recreated(kafka, topic)
        await kafka.fill(start.source, count, value=value)
        assert await worker.end(60) in (1, REFUSED)  # 1: the topic was gone for a while
    line, facts = await refusal(start, ids)
    assert not any("batch" in fact for fact in facts)
    return line


@EITHER
async def test_a_source_recreated_under_a_running_worker_is_refused(start, kafka, ids):
    """Faust went on without the topic, and for minutes without the new one."""
    line = await anew_under_a_running_worker(start, kafka, start.source, 4000, b"new %d", ids)
    assert "recreated" in line


async def test_a_changelog_recreated_under_a_running_worker_is_refused(start, kafka):
    """The next commit noted in the new one that it holds the whole table."""
    line = await anew_under_a_running_worker(start, kafka, f"{start.app}-state-changelog", 400, b"%d")
    assert "table state" in line


@EITHER
async def test_a_changelog_recreated_is_refused(start, kafka, ids):
    await kafka.fill(start.source, 400)
    await run(start, kafka, 400, ids)
    await recreated(kafka, f"{start.app}-state-changelog")
    line, facts = await refusal(start, ids)
    assert "table state" in line
    assert "covers nothing" in line
    assert not any("batch" in fact for fact in facts)


async def test_what_expired_unread_is_refused(start, kafka):
    await kafka.fill(start.source, 400)
    await run(start, kafka, 400)
    await kafka.fill(start.source, 400)
    await broker.expire(kafka.bootstrap, start.source, 1, 150)
    line, _ = await refusal(start)
    assert f"{start.source}[1]: offsets 100 to 149 (50 records) have expired" in line


async def test_offsets_of_an_earlier_release_are_noted_once(start, kafka):
    await kafka.fill(start.source, 400)
    await run(start, kafka, 400)
    tps = broker.partitions(start.source, 4)
    async with broker.consuming(kafka.bootstrap, tps, start.app) as consumer:
        await consumer.commit(dict.fromkeys(tps, 100))  # without a note
    await recreated(kafka, f"{start.app}-state-changelog")
    await kafka.fill(start.source, 4)
    line, _ = await refusal(start)
    assert "it is empty, but everything before offset 100 was committed" in line


async def test_a_topic_that_was_read_from_is_not_made_again_silently(start, kafka, monkeypatch):
    await kafka.fill(start.source, 400)
    await run(start, kafka, 400)
    monkeypatch.setattr("k2stream.kafka.groups.GROUPS", (start.app,))
    at = make(kafka_bootstrap=kafka.bootstrap)
    lost = changelog(f"{start.app}-other-changelog", 4, {}, start.source)
    with pytest.raises(StateRefused, match=f"{lost.name} does not exist, but group {start.app} has read"):
        await ensure_topics(at.kafka, [lost])
    await ensure_topics(at.kafka, [lost], leave=True)  # left missing
    with pytest.raises(StateRefused):
        await ensure_topics(at.kafka, [lost])
    await ensure_topics(at.kafka, [lost], recreate=[lost.name])
    await ensure_topics(at.kafka, [lost])
