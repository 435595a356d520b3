"""A sink in a Faust worker: prepared before the app joins its group, reset by rebalances, closed last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from k2stream import deadletter, metrics, topics
from k2stream.app import App
from k2stream.batch import TP, BatchSchema, committed, go_back
from k2stream.deadletter import DeadLetter
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.rewind import rewind
from k2stream.delivery.route import Route
from k2stream.delivery.sink import Destination, DestinationUnavailable, Policy, Sink, backoff
from k2stream.logs import place
from k2stream.memory import keep_arrow_lean
from k2stream.model import clock
from k2stream.model.errors import StateRefused
from k2stream.settings import KafkaSettings

keep_arrow_lean()


class SinkWorker:
    """The sink of an app, and the agents that fill it."""

    def __init__(self, app: App, settings: KafkaSettings, destination: Destination, policy: Policy) -> None:
        self._app, self._settings, self._destination = app, settings, destination
        self._max_unacked = policy.max_rows + policy.max_rows // 2
        self._routes: list[Route] = []
        self._assigned = asyncio.Event()
        self.sink = Sink(
            destination,
            policy,
            self._earliest,
            self._go_back,
            self._bury,
            self._passed,
            self._check,
            app.trades_tracer,
        )
        app.preparations.append(self._prepare)
        app.before_refusal.append(self.sink.flush)
        app.task(self.sink.run)
        app.on_partitions_assigned.connect(self._note_assignment, weak=False)
        app.on_partitions_revoked.connect(self._reset, weak=False)
        app.on_before_shutdown.connect(self._close, weak=False)

    def deliver(self, routes: Sequence[Route]) -> None:
        """Start an agent for each route."""
        for route in routes:
            self._routes.append(route)
            schema = BatchSchema(max_unacked=self._max_unacked, empty=True)
            self._app.agent(self._app.topic(route.topic, schema=schema), name=route.table)(self._body(route))

    def _body(self, route: Route) -> Callable[[Any], Any]:
        async def deliver(stream: Any) -> None:
            await self.sink.consume(stream, route)

        return deliver

    async def _prepare(self) -> None:
        """Create the tables, waiting while the destination is unavailable; go back where they lack rows."""
        for delay in backoff():
            try:
                await asyncio.to_thread(self._destination.prepare, self._routes)
                break
            except DestinationUnavailable as error:
                self._app.log.warning("%s; trying again in %.1f s", error, delay)
                await asyncio.sleep(delay)
        await rewind(self._settings, self._app.conf.id, self._routes, self._destination)

    async def _earliest(self, partition: SourcePartition) -> int:
        tp = TP(partition.topic, partition.partition)
        return int((await self._app.consumer.earliest_offsets(tp))[tp])

    async def _check(self, route: Route, partition: SourcePartition, position: SinkPosition) -> None:
        try:
            await self._app.consumer.check_position(TP(*partition), position.offset + 1, position.source)
        except StateRefused as refused:
            raise StateRefused(f"{route.table}: {refused}") from None

    async def _go_back(self, offsets: Mapping[SourcePartition, int], between: Callable[[], None]) -> None:
        await go_back(self._app.consumer, {TP(*at): offset for at, offset in offsets.items()}, between)

    def _passed(self) -> list[tuple[Route, dict[SourcePartition, int]]]:
        found = committed(self._app.consumer)
        return [
            (route, {SourcePartition(*tp): end for tp, end in found.items() if tp.topic == route.topic})
            for route in self._routes
        ]

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        """Send dead letters and wait until Kafka has acknowledged them. Raises ProducerSendError."""
        for letter in letters:
            metrics.SINK_SKIPPED.labels(letter.reader).inc()
            metrics.REJECTED.labels(topics.label_of(letter.exchange), letter.stage).inc()
            where = f"{letter.topic}[{letter.partition}] offset {letter.offset}"
            at = place(TP(letter.topic, letter.partition), letter.offset, exchange=letter.exchange)
            concerned = {**at, "table": letter.reader}
            self._app.log.error("%s is no row of %s: %s", where, letter.reader, letter.cause, extra=concerned)
        keys = [letter.topic.encode() for letter in letters]
        producer = self._app.producer
        values = list(map(deadletter.encode, letters))
        await producer.send_columns(topics.DLQ, 0, keys, values, clock.now_us() // 1000)
        await producer.barrier()

    async def _note_assignment(self, *_: Any, **__: Any) -> None:
        self._assigned.set()

    async def _reset(self, *_: Any, **__: Any) -> None:
        self.sink.reset()

    async def _close(self, *_: Any, **__: Any) -> None:
        await self.sink.close()

    async def flush(self, wait_seconds: float) -> dict[str, int]:
        """Write everything that the topics contain now; returns the rows added per table.

        Records that do not arrive within `wait_seconds` are left for the next time.
        """
        consumer = self._app.consumer
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._assigned.wait()
        wanted: dict[SourcePartition, int] = {}
        for route in self._routes:
            mine = [tp for tp in consumer.assignment() if tp.topic == route.topic]
            ends = await consumer.highwaters(*mine) if mine else {}
            durable = await self.sink.durable(route)
            for tp, end in ends.items():
                if int(end or 0) - 1 > durable.get(tp.partition, SinkPosition()).offset:
                    wanted[SourcePartition(*tp)] = int(end) - 1
        await self.sink.reached(wanted, wait_seconds)
        return await self.sink.flush()
