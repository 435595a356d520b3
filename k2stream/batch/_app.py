"""The Faust app that batch delivery belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import faust
from faust.exceptions import ImproperlyConfigured

from k2stream.batch._consumer import Consumer
from k2stream.batch._fetch import NO_GATHER
from k2stream.batch._producer import Producer

if TYPE_CHECKING:
    from faust.tables.manager import TableManager
    from faust.transport.conductor import Conductor


class BatchApp(faust.App):
    """A Faust app with batch delivery: ``BatchApp("clicks", **batch_app_options("localhost:9092"))``.

    It takes all options of ``faust.App``, and ``gather_seconds``: how long after a fetch the next one is sent
    to the same broker, after a small fetch and after a larger one. What is there is delivered at once; what
    comes meanwhile is delivered together. It may be set until the worker starts.

    ``preparations`` are awaited in turn before the worker joins its group; one that raises ends the start.
    ``before_refusal`` are awaited before a worker whose state is refused ends: they write what is held of the
    log as it was.
    """

    if TYPE_CHECKING:
        producer: Producer
        consumer: Consumer
        tables: TableManager
        topics: Conductor

    def __init__(self, id: str, *, gather_seconds: tuple[float, float] = NO_GATHER, **options: Any) -> None:
        self.gather_seconds = gather_seconds
        self.preparations: list[Callable[[], Awaitable[None]]] = []
        self.before_refusal: list[Callable[[], Awaitable[object]]] = []
        self.returning = asyncio.Lock()
        """Held by a sink that goes back: one at a time."""
        super().__init__(id, **options)

    async def on_first_start(self) -> None:
        """Prepare, and start as Faust does."""
        await self.prepare()
        await super().on_first_start()

    async def prepare(self) -> None:
        """Await the preparations."""
        for prepare in self.preparations:
            await prepare()

    def _new_producer(self) -> Producer:
        producer = super()._new_producer()
        if not isinstance(producer, Producer):
            raise _other_broker(self)
        return producer

    def _new_consumer(self) -> Consumer:
        consumer = super()._new_consumer()
        if not isinstance(consumer, Consumer):
            raise _other_broker(self)
        return consumer


def _other_broker(app: BatchApp) -> ImproperlyConfigured:
    urls = ", ".join(map(str, app.conf.broker_consumer))
    return ImproperlyConfigured(f"app {app.conf.id}: a BatchApp needs a k2batch:// broker, not {urls}")
