"""At start, moves a consumer group back to what its destination has stored.

Kafka's committed offset says what was acknowledged once, the destination says what is stored now. When tables
were wiped, dropped or restored from a backup, the destination is behind, and the missing rows are read again;
if Kafka no longer retains all of them, an operator must decide. The same holds after a topic was deleted and
recreated: the destination is ahead of Kafka, and skipping would lose the new records.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from k2stream import metrics, topics
from k2stream.batch import SETTLE_SECONDS, TP
from k2stream.delivery.anchors import renamed
from k2stream.delivery.destination import Destination
from k2stream.delivery.epochs import lost
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.kafka.groups import Committed
from k2stream.kafka.positions import GroupBusy, GroupPositions
from k2stream.logs import place
from k2stream.model.errors import ConfigError, StateRefused, mending
from k2stream.settings import KafkaSettings

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5

MEMBERS_LEAVE_SECONDS = 60
"""How long a group may still list a killed worker as a member."""


def target(
    durable: int, committed: int | None, beginning: int, end: int, where: tuple[str, SourcePartition]
) -> int | None:
    """The offset to go back to; None to stay (pure).

    `durable` is the last durable offset, -1 for none. Raises StateRefused when the topic ends before it, or
    when records that were durable once are neither stored nor in Kafka.
    """
    if durable >= end:
        raise StateRefused(
            f"{where[0]}: {where[1]} is durable up to offset {durable}, but the topic ends at {end}: "
            f"it was recreated, or its log was cut; {mending(where[1].topic, where[0])}"
        )
    if committed is None or committed <= durable + 1:
        return None
    if beginning > durable + 1:
        raise StateRefused(lost(*where, durable, beginning))
    return durable + 1


async def rewind(
    settings: KafkaSettings,
    group: str,
    routes: Sequence[Route],
    destination: Destination,
) -> None:
    """Move the group's committed offsets back where the destination lacks rows, and open a new epoch there.

    Does nothing when no rows are missing. Raises StateRefused when Kafka no longer retains all of them,
    ConfigError when another worker of the group keeps running.
    """
    counts = {topic.name: topic.partitions for topic in topics.declared(settings)}
    partitions = {
        route.topic: [TP(route.topic, number) for number in range(counts[route.topic])] for route in routes
    }
    every = [tp for found in partitions.values() for tp in found]
    async with GroupPositions(settings, group, every) as positions:
        back: dict[TP, Committed] = {}
        for route in routes:
            back |= await _settled(positions, route, partitions[route.topic], destination)
        if back:
            await _commit(positions, group, back)


async def _settled(
    positions: GroupPositions, route: Route, partitions: list[TP], destination: Destination
) -> dict[TP, Committed]:
    """As `_behind`, with retries: a newly elected leader may report an end that is too low."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return await _behind(positions, route, partitions, destination)
        except StateRefused:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE_SECONDS)


async def _behind(
    positions: GroupPositions, route: Route, partitions: list[TP], destination: Destination
) -> dict[TP, Committed]:
    # In this order, because running workers advance these positions meanwhile.
    beginning = await positions.beginnings(partitions)
    committed = {tp: await positions.committed(tp) for tp in partitions}
    durable = await asyncio.to_thread(destination.positions, route)
    end = await positions.ends(partitions)
    found: dict[TP, Committed] = {}
    opened: dict[tuple[str, SourcePartition], SinkPosition] = {}
    for tp in partitions:
        at = SourcePartition(*tp)
        last = durable.get(tp.partition, SinkPosition())
        wanted = target(last.offset, committed[tp], beginning[tp], end[tp], (route.table, at))
        if wanted is not None:
            where = f"{route.table}: {at}"
            lacks, concerned = f"{where}: the table lacks rows", place(at, wanted, table=route.table)
            logger.warning("%s: reading from %d, not %d", lacks, wanted, committed[tp], extra=concerned)
            metrics.SINK_REFILLS.labels(route.table).inc()
            found[tp] = Committed(wanted, last.source)
            opened[route.table, at] = renamed(last)
    if opened:
        await asyncio.to_thread(destination.open, opened)
    return found


async def _commit(positions: GroupPositions, group: str, offsets: Mapping[TP, Committed]) -> None:
    for _ in range(MEMBERS_LEAVE_SECONDS):
        try:
            await positions.commit(offsets)
            return
        except GroupBusy as error:
            logger.warning("group %s still has members: %s", group, error)
            await asyncio.sleep(1)
    raise ConfigError(
        f"tables lack rows that group {group} has passed, and it cannot go back while its workers run: "
        "stop them all, then start one"
    )
