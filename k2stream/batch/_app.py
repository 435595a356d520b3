"""The Faust app with batch delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import faust
from faust.exceptions import ImproperlyConfigured
from faust.web import drivers
from faust.web.base import Web

from k2stream.batch._consumer import Consumer
from k2stream.batch._fetch import NO_GATHER
from k2stream.batch._producer import Producer
from k2stream.batch._web import BatchWeb
from k2stream.batch._worker import BatchWorker

if TYPE_CHECKING:
    from faust.tables.manager import TableManager
    from faust.transport.conductor import Conductor


class BatchApp(faust.App):
    """A Faust app with batch delivery: ``BatchApp("clicks", **batch_app_options("localhost:9092"))``.

    It takes all options of ``faust.App`` (its worker is a ``BatchWorker`` by default), and
    ``gather_seconds``: the least and the most seconds from a fetch to the next one from the same broker; the
    more CPU the process needs, the longer. Available records are delivered at once; records that arrive
    during a pause are delivered together. It may be set until the worker starts.

    ``preparations`` are awaited in order before the worker joins its group; an error in one prevents the
    start. ``before_refusal`` are awaited before a worker with refused state ends; they write what is still
    buffered of the previous log.
    """

    if TYPE_CHECKING:
        producer: Producer
        consumer: Consumer
        tables: TableManager
        topics: Conductor
        web: BatchWeb

    def __init__(self, id: str, *, gather_seconds: tuple[float, float] = NO_GATHER, **options: Any) -> None:
        self.gather_seconds = gather_seconds
        self.preparations: list[Callable[[], Awaitable[None]]] = []
        self.before_refusal: list[Callable[[], Awaitable[object]]] = []
        self.returning = asyncio.Lock()
        """Locked while a sink moves its partitions back to earlier offsets, one sink at a time."""
        super().__init__(id, **{"Worker": BatchWorker, **options})

    async def on_first_start(self) -> None:
        """Run the preparations, then start as Faust does."""
        await self.prepare()
        await super().on_first_start()

    async def prepare(self) -> None:
        """Await the preparations in order."""
        for prepare in self.preparations:
            await prepare()

    def _new_producer(self) -> Producer:
        producer = super()._new_producer()
        if not isinstance(producer, Producer):
            raise _other_broker(self)
        return producer

    def _new_web(self) -> Web:
        driver = drivers.by_url(self.conf.web)
        return BatchWeb(self) if issubclass(BatchWeb, driver) else driver(self)

    def _new_consumer(self) -> Consumer:
        consumer = super()._new_consumer()
        if not isinstance(consumer, Consumer):
            raise _other_broker(self)
        return consumer


def _other_broker(app: BatchApp) -> ImproperlyConfigured:
    urls = ", ".join(map(str, app.conf.broker_consumer))
    return ImproperlyConfigured(f"app {app.conf.id}: a BatchApp needs a k2batch:// broker, not {urls}")
