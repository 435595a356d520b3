"""Carries out a new partition count. Each step may be repeated: after a kill, another run does the rest.

While the change is made, a topic marks it (`CountChange.marker`), so that no worker starts in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from k2stream import topics
from k2stream.batch import TP, proof
from k2stream.batch.proof import LogIdentity, Proof
from k2stream.clickhouse.destination import ClickHouse
from k2stream.delivery.anchors import renamed
from k2stream.delivery.destination import Destination
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.iceberg import tables as cold
from k2stream.iceberg.destination import Iceberg
from k2stream.kafka import counts
from k2stream.kafka.counts import NORMALIZED
from k2stream.kafka.groups import Committed
from k2stream.kafka.positions import GroupPositions
from k2stream.kafka.producer import producing
from k2stream.kafka.reader import Reader
from k2stream.layers.routes import ROUTES
from k2stream.layers.table import BRONZE
from k2stream.model.roles import Role
from k2stream.partitions import state
from k2stream.partitions.plan import CountPlan
from k2stream.settings import KafkaSettings, Settings

Say = Callable[[str], None]

READERS = (Role.NORMALIZE, Role.HOT, Role.COLD)
"""The roles that read raw topics: their groups begin where the new logs begin."""


async def do(made: CountPlan, say: Say) -> None:
    """Make the change. No worker may be running; this process starts no other one afterwards."""
    settings, change = made.settings, made.change
    await counts.begin(settings.kafka, change)
    say("no worker starts until this has ended")
    await counts.grow(settings.kafka, made.grows)
    for name, count in made.grows.items():
        say(f"{name} has {count} partitions")
    if change.name != NORMALIZED:
        begins = await _open_logs(settings.kafka, made)
        offsets = ", ".join(map(str, begins.values()))
        say(f"new partitions of {topics.raw(change.name)} begin at offsets {offsets}")
        identities = await _identities(settings.kafka, topics.raw(change.name), begins)
        say(f"{await _move(made, identities):,} table entries moved")
        await _sinks(settings, change.name, begins)
        await _commit(settings.kafka, topics.raw(change.name), begins, identities)
    await counts.end(settings.kafka, change)


async def _open_logs(settings: KafkaSettings, made: CountPlan) -> dict[int, int]:
    """Let the log of each new raw partition begin where the one that its symbols leave ends."""
    topic = topics.raw(made.change.name)
    async with Reader(settings) as reader:
        ends = {n: end for n, (_, end) in (await reader.retained(topic, made.change.before)).items()}
    begins = {number: ends[origin] for number, origin in made.origins.items()}
    await counts.begin_at(settings, {TP(topic, number): offset for number, offset in begins.items()})
    return begins


async def _identities(
    settings: KafkaSettings, topic: str, begins: Mapping[int, int]
) -> dict[int, LogIdentity]:
    """What positions at the begin of the new logs refer to: no record before them, but this very topic."""
    async with Reader(settings) as reader:
        shown = await reader.shown({TP(topic, number): -1 for number in begins})
    return {
        number: proof.identity(
            Proof(offset - 1, 0, 0), 0, shown[TP(topic, number)].topic_id, shown[TP(topic, number)].cluster
        )
        for number, offset in begins.items()
        if offset
    }


async def _move(made: CountPlan, identities: Mapping[int, LogIdentity]) -> int:
    settings, change = made.settings, made.change
    tables = state.declared(settings)
    await state.read(settings, tables)
    native = state.native(settings, tables, change)
    keys = state.canonical(settings, change.name, native)
    count, own = 0, topics.raw(change.name)
    async with producing(settings.kafka) as producer:
        # The normalizer's positions last: they say which symbols there are.
        for table in sorted(tables, key=lambda table: table.source == own):
            if table.source == own:
                count += await state.carry(producer, table, native, of_exchange=True)
                await state.identify(producer, table, identities)
            elif table.source not in map(topics.raw, topics.EXCHANGES):
                count += await state.carry(producer, table, keys)
    return count


async def _sinks(settings: Settings, exchange: str, begins: Mapping[int, int]) -> None:
    """Note in both tiers that bronze has what is before the new logs: nothing."""
    table = BRONZE[exchange]
    tiers: tuple[tuple[Destination, Route], ...] = (
        (ClickHouse(settings.clickhouse), ROUTES[table.hot]),
        (Iceberg(settings.iceberg), cold.TABLES[table.cold].route),
    )
    for sink, route in tiers:
        try:
            await asyncio.to_thread(sink.prepare, [route])
            await asyncio.to_thread(_open, sink, route, begins)
        finally:
            sink.close()


def _open(sink: Destination, route: Route, begins: Mapping[int, int]) -> None:
    known = sink.positions(route)
    for number, offset in begins.items():
        if known.get(number, SinkPosition()).offset < offset - 1:
            sink.open(
                {(route.table, SourcePartition(route.topic, number)): renamed(SinkPosition(offset - 1))}
            )


async def _commit(
    settings: KafkaSettings, topic: str, begins: Mapping[int, int], identities: Mapping[int, LogIdentity]
) -> None:
    """Commit, for the groups that read the raw topic, that they go on where the new logs begin."""
    for role in READERS:
        goals = {
            TP(topic, number): Committed(
                offset, proof.write(identities[number]) if role is Role.NORMALIZE else ""
            )
            for number, offset in begins.items()
            if offset
        }
        if goals:
            async with GroupPositions(settings, role.group, goals) as positions:
                await positions.commit(goals)
