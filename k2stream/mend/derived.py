"""Repairs topics that a role writes, after they were lost or recreated while others read them.

What was derived from raw records is derived again: the topic is filled, and sinks read it from its beginning
with a new epoch. Silver drops trades it has already, by their raw offsets; of candles, the highest revision
counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from k2stream import topics
from k2stream.batch import TP
from k2stream.clickhouse.destination import UNAVAILABLE, ClickHouse
from k2stream.delivery.destination import Destination
from k2stream.delivery.progress import SourcePartition
from k2stream.delivery.route import Route
from k2stream.iceberg import tables as cold
from k2stream.iceberg.destination import Iceberg
from k2stream.kafka.creation import ensure_topics, lost_topics
from k2stream.layers.routes import ROUTES
from k2stream.layers.table import TABLES, LayerTable
from k2stream.mend.lift import Say
from k2stream.mend.positions import judged
from k2stream.mend.renormalize import publish_again
from k2stream.mend.sinks import go_back
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings, Settings


class Misread(NamedTuple):
    """A partition whose rows in a tier's table come from a log that no longer exists."""

    table: LayerTable
    partition: int
    hot: bool


@dataclass(frozen=True, slots=True)
class DerivedFound:
    """What is wrong with the topics that a role writes."""

    role: str
    missing: Sequence[str]
    misread: Sequence[Misread]
    unseen: Mapping[str, str]
    """The error of each tier that is unavailable."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.misread)

    def lines(self) -> Iterator[str]:
        """What is wrong, what will be done, and what is lost by it, as lines of text."""
        for topic in self.missing:
            yield f"seen: topic {topic} does not exist, but it has been read"
            yield f"will do: {topic} is created, empty"
        for item in self.misread:
            name = item.table.hot if item.hot else item.table.cold
            yield f"seen: {name} holds records of another {item.table.topic}[{item.partition}]"
            yield f"will do: {name} is filled from the beginning of the topic, without what it has"
        for tier, said in self.unseen.items():
            yield f"not looked at: {tier} is unavailable ({said}); mend again when it is back"
        if self.missing and self.role == Role.CERTIFY:
            yield "lost by it: what the sinks had not read; candles are certified and compared from now on"
        if self and self.role == Role.NORMALIZE:
            yield "will do: canonical trades are made again from raw records; readers drop those they have"
            yield "lost by it: no trade whose raw record is in Kafka or Iceberg"


async def look(settings: Settings, role: str) -> DerivedFound:
    """Examine the topics that a role writes, and the tables of their readers."""
    written = topics.written_by(role)
    missing = await lost_topics(settings.kafka, written)
    durable = [table for table in TABLES.values() if table.topic in written]
    found: list[Misread] = []
    unseen: dict[str, str] = {}
    tiers: tuple[tuple[Destination, bool], ...] = (
        (ClickHouse(settings.clickhouse), True),
        (Iceberg(settings.iceberg), False),
    )
    for sink, hot in tiers:
        try:
            for table in durable:
                route = ROUTES[table.hot] if hot else cold.TABLES[table.cold].route
                numbers = await _misread(settings.kafka, sink, route, gone=table.topic in missing)
                found += [Misread(table, number, hot) for number in numbers]
        except UNAVAILABLE as error:
            unseen["ClickHouse" if hot else "Iceberg"] = " ".join(str(error).split())
        finally:
            sink.close()
    return DerivedFound(role, missing, found, unseen)


async def _misread(settings: KafkaSettings, sink: Destination, route: Route, *, gone: bool) -> list[int]:
    """Partitions whose last read record is not in the log; all that were read when the topic is `gone`."""
    durable = await asyncio.to_thread(sink.positions, route)
    read = {number: position for number, position in durable.items() if position.offset >= 0}
    if gone:
        return list(read)
    return [number for number, one in (await judged(settings, route.topic, read)).items() if one.refused]


async def mend(settings: Settings, found: DerivedFound, done: Mapping[TP, int], say: Say) -> None:
    """Create the missing topics, fill them, and make the sinks read them again.

    `done` is as in `publish_again`. After a kill, another run repeats everything for the remaining sinks,
    whose positions are moved last. Candle topics are filled by the worker, from tables that were rebuilt
    before.
    """
    if not found:
        return
    declared = [topic for topic in topics.declared(settings.kafka) if topic.name in found.missing]
    if declared:
        await ensure_topics(settings.kafka, declared, recreate=found.missing)
    if found.role == Role.NORMALIZE:
        count = await publish_again(settings, done, say)
        say(f"{count:,} canonical trades published again")
    for table, number, hot in found.misread:
        at = SourcePartition(table.topic, number)
        await asyncio.to_thread(go_back, settings, table, at, 0, hot=hot)
