"""A sink's worker: the product's Sink around one destination, in a group of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from k2stream.delivery.anchors import renamed
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.rewind import target
from k2stream.delivery.route import Route
from k2stream.delivery.sink import Policy, Sink
from k2stream.layers.silver import ROUTE
from tests.property.chain.broker import Broker
from tests.property.chain.store import Hot
from tests.property.sink_stores import Died

NEVER = Policy(flush_seconds=60, max_rows=10**6, max_bytes=10**9, save_seconds=0)
AT = SourcePartition(ROUTE.topic, 0)


class SinkWorker:
    """Starts as `delivery/worker.py` does: the group goes back to what the destination holds."""

    def __init__(self, broker: Broker, store: Hot, loop: asyncio.AbstractEventLoop) -> None:
        self.broker, self.store, self.loop = broker, store, loop
        self.group = f"sink-{type(store).__name__}"
        broker.join(self.group, self)
        self._rewind()
        self.sink = Sink(store, NEVER, self._earliest, self._go_back, passed=self._passed)
        self.at = 0
        self.start()

    @property
    def committed(self) -> int | None:
        """The group's offset."""
        return self.broker.committed[self.group].get(ROUTE.topic)

    def start(self) -> None:
        """Read on from what was acknowledged, or from the beginning."""
        self.at = self.broker.log(ROUTE.topic).begin if self.committed is None else self.committed

    def _rewind(self) -> None:
        log, held = self.broker.log(ROUTE.topic), self.store.held.get(0, SinkPosition())
        back = target(held.offset, self.committed, log.begin, log.end, (ROUTE.table, AT))
        if back is not None:
            self.store.held[0] = renamed(held)
            self.broker.committed[self.group][ROUTE.topic] = back

    def _passed(self) -> list[tuple[Route, dict[SourcePartition, int]]]:
        return [(ROUTE, {AT: self.committed})] if self.committed else []

    async def _earliest(self, partition: SourcePartition) -> int:
        return self.broker.log(partition.topic).begin

    async def _go_back(self, offsets: Mapping[SourcePartition, int], between: Callable[[], None]) -> None:
        between()
        if self.broker.commit(self.group, self, {ROUTE.topic: offsets[AT]}):
            self.start()

    def deliver(self, limit: int) -> None:
        """Fetch once."""
        batch = self.broker.log(ROUTE.topic).read(self.at, limit)
        if batch.last_offset >= batch.first_offset:
            self.at = batch.last_offset + 1
            self._run(self.sink.put(ROUTE, batch, self._acknowledgement(batch.last_offset + 1)))

    def _acknowledgement(self, after: int) -> Callable[[], Awaitable[Any]]:
        stay = self.sink._assignment_epoch

        async def acknowledge() -> None:
            if stay == self.sink._assignment_epoch:
                self.broker.commit(self.group, self, {ROUTE.topic: max(self.committed or 0, after)})

        return acknowledge

    def flush(self, fates: list[str]) -> bool:
        """Write what is buffered; False where the worker died of it."""
        self.store.fates.extend(fates)
        try:
            self._run(self.sink.flush())
        except Died:
            return False
        finally:
            self.store.fates.clear()
        return True

    def check(self) -> None:
        """Nothing has come for some time: is all still there?"""

        async def step() -> None:
            async with self.sink._lock:
                await self.sink._check()
            await self.sink._return()

        self._run(step())

    def rebalance(self) -> None:
        """Its partitions go and come back."""
        self.sink.reset()
        self.start()

    def _run(self, step: Any) -> None:
        self.loop.run_until_complete(step)
