"""Last confirmed positions of a destination per table and partition, and the reaction when they differ."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Protocol, TypeVar

from k2stream import metrics
from k2stream.delivery.destination import Destination, MissingRows, WentBack
from k2stream.delivery.epochs import Key, Move, PositionVerdict, judge, lost, named
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.logs import place
from k2stream.model import clock
from k2stream.model.errors import FILLING, StateRefused

logger = logging.getLogger(__name__)

TOGETHER_SECONDS = 2.0

Result = TypeVar("Result")


Check = Callable[[Route, SourcePartition, SinkPosition], Awaitable[None]]


async def unchecked(route: Route, partition: SourcePartition, position: SinkPosition) -> None:
    """Accept every position."""


class Retry(Protocol):
    """Repeats a call to the destination until it succeeds; None when the sink closes first."""

    async def __call__(self, what: str, call: Callable[[], Result]) -> Result | None: ...


class Anchors:
    """Positions as the destination last confirmed them; `returning` has the offsets to read again from."""

    def __init__(
        self,
        destination: Destination,
        earliest: Callable[[SourcePartition], Awaitable[int]],
        retry: Retry,
        check: Check,
    ) -> None:
        """`check` raises StateRefused for a position of another log, e.g. of a topic since recreated."""
        self._destination, self._earliest, self._retry = destination, earliest, retry
        self._check = check
        self._durable: dict[Key, SinkPosition] = {}
        self._returned: dict[Key, int] = {}
        self._asked: dict[str, tuple[float, Mapping[int, SinkPosition]]] = {}
        self.returning: dict[SourcePartition, int] = {}

    def reset(self) -> None:
        """Forget everything: after a rebalance, partitions start over."""
        self.gone_back()
        self._returned.clear()

    def gone_back(self) -> None:
        """The consumer has gone back: partitions start over at the requested offsets."""
        self._durable.clear()
        self._asked.clear()
        self.returning.clear()

    async def begin(self, route: Route, partition: SourcePartition, first: int) -> SinkPosition | None:
        """The position that a delivery starting at offset `first` continues from.

        None when the sink closes, or when earlier offsets must be read again (`returning`). Raises
        StateRefused when Kafka no longer retains all of them.
        """
        positions = await self._positions(route)
        if positions is None:
            return None
        key, found = (route.table, partition), positions.get(partition.partition)
        durable = found or SinkPosition()
        if durable.offset >= 0:
            await self._check(route, partition, durable)
        if first > durable.offset + 1:
            earliest = await self._earliest(partition)
            if first > earliest:
                await self._return(key, durable, earliest)
                return None
            if found is not None:
                logger.error(
                    "%s: offsets %d to %d of %s are gone from Kafka and were never written; %s",
                    route.table, durable.offset + 1, first - 1, partition, FILLING,
                    extra=place(partition, first, table=route.table),
                )  # fmt: skip
            durable = replace(durable, offset=first - 1)
        if found is not None and not found.epoch:
            logger.warning(
                "%s: %s: adopted positions that an earlier release wrote", route.table, partition,
                extra=place(partition, table=route.table),
            )  # fmt: skip
        if durable != found or not durable.epoch:
            opened = await self._open(key, durable if durable.epoch else renamed(durable))
            if opened is None:
                return None
            durable = opened
        self._durable[key] = durable
        self._returned.pop(key, None)
        return durable

    async def _positions(self, route: Route) -> Mapping[int, SinkPosition] | None:
        """Positions of all partitions of a table, cached for partitions that start at about the same time.

        One request per partition kept a worker busy until the next rebalance.
        """
        asked_at, found = self._asked.get(route.table, (-inf, {}))
        if time.monotonic() < asked_at + TOGETHER_SECONDS:
            return found
        now = time.monotonic()
        durable = await self._retry(route.table, partial(self._destination.positions, route))
        if durable is not None:
            self._asked[route.table] = now, durable
        return durable

    def confirm(self, moves: Mapping[Key, Move]) -> None:
        """Record positions that the destination has saved."""
        for key, move in moves.items():
            if key in self._durable:
                self._durable[key] = move.position

    async def compare(self, found: Mapping[Key, SinkPosition | None]) -> set[Key]:
        """Keys whose stored position is not the known one: to be read again, or owned by another worker.

        Raises StateRefused when Kafka no longer retains all missing offsets.
        """
        gone = set()
        for key, position in found.items():
            known = self._durable.get(key)
            if known is not None and not await self._differs(key, known, position):
                continue
            gone.add(key)
        return gone

    async def _differs(self, key: Key, known: SinkPosition, found: SinkPosition | None) -> bool:
        table, partition = key
        earliest = await self._earliest(partition)
        match judge(known, found, earliest):
            case PositionVerdict.CONTINUE:
                return False
            case PositionVerdict.FOLLOW:
                assert found is not None
                concerned = place(partition, table=table)
                logger.warning(
                    "%s: %s: another worker opened a newer epoch", table, partition, extra=concerned
                )
                self.returning[partition] = found.offset + 1
            case _:
                await self._return(key, found or SinkPosition(source=known.source), earliest)
        return True

    async def check(self, route: Route) -> None:
        """Fetch the stored positions of a route's table and compare them with the known ones."""
        mine = [partition for table, partition in self._durable if table == route.table]
        if not mine:
            return
        durable = await self._retry(route.table, partial(self._destination.positions, route))
        if durable is not None:
            await self.compare({(route.table, at): durable.get(at.partition) for at in mine})

    async def look(self, route: Route, passed: Mapping[SourcePartition, int]) -> None:
        """Check partitions without a delivery so far: the group has committed the offsets in `passed`."""
        if not passed:
            return
        durable = await self._retry(route.table, partial(self._destination.positions, route))
        if durable is None:
            return
        for partition, first in passed.items():
            key, found = (route.table, partition), durable.get(partition.partition, SinkPosition())
            if first <= found.offset + 1:
                continue
            if self._returned.get(key) == found.offset + 1:  # the requested records are still on their way
                self.returning[partition] = found.offset + 1
            elif first > (earliest := await self._earliest(partition)):
                await self._return(key, found, earliest)

    async def _return(self, key: Key, durable: SinkPosition, earliest: int) -> None:
        table, partition = key
        wanted = durable.offset + 1
        if earliest > wanted:
            raise StateRefused(lost(table, partition, durable.offset, earliest))
        if self._returned.get(key) == wanted:
            raise MissingRows(
                f"{table}: offsets from {wanted} on of {partition} were read again and did not come: start "
                "the worker again"
            )
        logger.warning(
            "%s: %s went back to offset %d: the rows after it are read again, under a new epoch",
            table, partition, durable.offset,
            extra=place(partition, durable.offset, table=table),
        )  # fmt: skip
        metrics.SINK_REFILLS.labels(table).inc()
        if await self._open(key, renamed(durable)) is not None:
            self.returning[partition] = self._returned[key] = wanted

    async def _open(self, key: Key, position: SinkPosition) -> SinkPosition | None:
        """The opened position; None when the sink closes, or when another worker opened a newer one."""
        try:
            return await self._retry(key[0], partial(self._opened, key, position))
        except WentBack as error:
            self.returning[key[1]] = (error.found[key] or SinkPosition()).offset + 1
            return None

    def _opened(self, key: Key, position: SinkPosition) -> SinkPosition:
        self._destination.open({key: position})
        return position


def renamed(position: SinkPosition) -> SinkPosition:
    """The same position in a new epoch: later writes are then not taken for retries of earlier ones."""
    return replace(position, epoch=named(position.epoch, clock.now_us(), secrets.token_hex(2)))
