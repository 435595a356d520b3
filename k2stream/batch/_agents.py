"""Tells the consumer whether an agent is processing a batch, acknowledges manually, or has failed."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import TYPE_CHECKING, cast

from faust.agents.agent import Agent
from faust.types.agents import ActorRefT
from faust.types.streams import StreamT

from k2stream.batch._schema import BatchSchema

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp


def any_busy(app: BatchApp) -> bool:
    """Whether any agent is processing an event."""
    return any(stream.current_event is not None for _, stream in _streams(app))


def manual_topics(app: BatchApp) -> set[str]:
    """Return the topics that an agent acknowledges manually (``stream.noack()``)."""
    return {
        topic
        for agent, stream in _streams(app)
        if not stream.enable_acks
        for topic in getattr(agent.channel, "topics", ())
    }


def stop_on_failure(app: BatchApp, halt: Callable[[BaseException], None]) -> None:
    """Make agents of batch topics call ``halt`` and crash the worker when they fail.

    Faust would close the stream of a failed agent, which acknowledges its current batch, and restart the
    agent. ``halt`` runs before the stream can be closed, and before any error handler of the application can
    await.
    """
    for agent in _agents(app):
        if isinstance(getattr(agent.channel, "schema", None), BatchSchema):
            agent._execute_actor = _guarded(agent, halt)  # type: ignore[method-assign, assignment]


def _guarded(
    agent: Agent, halt: Callable[[BaseException], None]
) -> Callable[[Awaitable[None], ActorRefT], Coroutine[object, object, None]]:
    execute = agent._execute_actor

    async def body(coro: Awaitable[None]) -> None:
        try:
            await coro
        except BaseException as exc:
            cancelled = isinstance(exc, asyncio.CancelledError)
            if not (cancelled and (agent.should_stop or agent.isolated_partitions)):
                halt(exc)
                await agent.app.consumer.crash(exc)
            raise

    async def execute_actor(coro: Awaitable[None], actor: ActorRefT) -> None:
        await execute(body(coro), actor)

    return execute_actor


def _agents(app: BatchApp) -> Collection[Agent]:
    return cast("Collection[Agent]", app.agents.values())


def _streams(app: BatchApp) -> list[tuple[Agent, StreamT[object]]]:
    # noack() and other operators iterate a clone of the actor's stream.
    return [(agent, actor.stream.get_active_stream()) for agent in _agents(app) for actor in agent._actors]
