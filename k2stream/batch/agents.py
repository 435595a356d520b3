"""What the consumer must know of agents: which hold a batch, which acknowledge by hand, which have failed."""
# ruff: noqa: SLF001 - private parts of pinned versions; tests/unit/batch/test_assumptions.py guards them

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k2stream.batch.schema import BatchSchema


def any_busy(app: Any) -> bool:
    """Whether an agent is between taking an event and asking for the next."""
    return any(stream.current_event is not None for _, stream in _streams(app))


def manual_topics(app: Any) -> set[str]:
    """Topics that an agent acknowledges by hand (``stream.noack()``)."""
    return {
        topic
        for agent, stream in _streams(app)
        if not stream.enable_acks
        for topic in getattr(agent.channel, "topics", ())
    }


def halt_on_error(app: Any, halt: Callable[[BaseException], None]) -> None:
    """Call ``halt`` before the error handlers of batch agents: they may await, and Faust acks meanwhile."""
    for agent in app.agents.values():
        if isinstance(getattr(agent.channel, "schema", None), BatchSchema):
            agent._on_error = _halting(agent._on_error, halt, app)


def _halting(on_error: Any, halt: Callable[[BaseException], None], app: Any) -> Any:
    async def handler(agent: Any, exc: BaseException) -> None:
        halt(exc)
        try:
            if on_error is not None:
                await on_error(agent, exc)
        finally:
            if not app.consumer.crashed:
                await app.consumer.crash(exc)

    return handler


def _streams(app: Any) -> list[tuple[Any, Any]]:
    # noack() and other operators iterate a clone of the actor's stream.
    return [
        (agent, actor.stream.get_active_stream()) for agent in app.agents.values() for actor in agent._actors
    ]
