import asyncio
from types import SimpleNamespace

import pytest

from k2stream.batch import BatchSchema
from k2stream.batch._agents import stop_on_failure


class Fake:
    """An agent as far as failures go: runs its coroutine and swallows what it raises, as Faust does."""

    def __init__(self, app, schema):
        self.app, self.channel = app, SimpleNamespace(schema=schema)
        self.should_stop = self.isolated_partitions = False

    async def _execute_actor(self, coro, _actor):
        try:
            await coro
        except BaseException as exc:
            self.app.events.append(("handled", exc))


@pytest.fixture
def app():
    events = []

    async def crash(exc):
        events.append(("crashed", exc))

    return SimpleNamespace(events=events, consumer=SimpleNamespace(crash=crash), agents={})


async def run(app, agent, exc):
    async def fails():
        raise exc

    app.agents["a"] = agent
    stop_on_failure(app, lambda exc: app.events.append(("halted", exc)))
    await agent._execute_actor(fails(), None)
    return [event for event, _ in app.events]


async def test_a_failure_halts_before_anyone_else_hears_of_it(app):
    assert await run(app, Fake(app, BatchSchema()), RuntimeError()) == ["halted", "crashed", "handled"]


async def test_a_cancellation_from_inside_the_agent_is_a_failure(app):
    assert (await run(app, Fake(app, BatchSchema()), asyncio.CancelledError()))[0] == "halted"


async def test_a_stop_is_no_failure(app):
    agent = Fake(app, BatchSchema())
    agent.should_stop = True
    assert await run(app, agent, asyncio.CancelledError()) == ["handled"]


async def test_agents_of_single_events_are_left_to_faust(app):
    assert await run(app, Fake(app, None), RuntimeError()) == ["handled"]
