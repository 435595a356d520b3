"""Carries out the repair of a role's state, as announced by its plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from k2stream import topics
from k2stream.app import create_app
from k2stream.batch import TP, BatchTable, proof
from k2stream.batch.proof import LogIdentity, Proof
from k2stream.iceberg.catalog import open_catalog
from k2stream.kafka.creation import ensure_topics
from k2stream.kafka.groups import Committed, members
from k2stream.kafka.positions import GroupBusy, GroupPositions
from k2stream.kafka.producer import producing
from k2stream.mend import fill, lift, orphans, rebuilt
from k2stream.mend.drop import drop
from k2stream.mend.lift import Lift, Say
from k2stream.mend.look import SourceFound, shown_at
from k2stream.mend.plan import MendPlan
from k2stream.model import clock, events
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.roles import Role
from k2stream.replay.bronze import Bronze
from k2stream.replay.tables import send_changes
from k2stream.settings import KafkaSettings, Settings


async def do(settings: Settings, made: MendPlan, tables: dict[str, BatchTable], say: Say) -> None:
    """Do what was planned; after a kill, another run finishes it. The role's workers must not be running."""
    await _create_changelogs(settings.kafka, made.role, tables)
    goals: dict[TP, tuple[int, LogIdentity]] = {}
    if made.role == Role.CANDLES:
        await _begin_rebuild(settings.kafka, made.found, tables)
        goals = await _ends(settings.kafka, [item.tp for item in made.found], made.found)
    for rows in made.drops:
        await asyncio.to_thread(drop, settings, rows)
        say(str(rows))
    for todo in made.lifts:
        await _adopt(settings, made, todo, tables)
    await lift.lift(settings.kafka, made.lifts, say)
    for todo in made.lifts:
        tp = TP(todo.topic, todo.partition)
        goals[tp] = todo.used, _after(made, tp, todo.used)
    for item in (*made.skips, *made.rereads):
        goals[item.tp] = item.shown.begin, _after(made, item.tp, item.shown.begin)
    if made.rebuilds:
        rebuild = rebuilt.candles if made.role == Role.CANDLES else rebuilt.positions
        keys = await rebuild(settings, made, tables, say)
        say(f"{keys:,} table entries written")
        for item in made.found:
            if item.tp not in goals and (item.identity is not None or item.shown.record is not None):
                kept = item.identity or proof.identity(item.shown.record)  # type: ignore[arg-type]
                goals[item.tp] = item.committed, LogIdentity(kept.version, kept.generation + 1, kept.proof)
    for tp, offsets in made.fills.items():  # after the rebuild: it uses the tables' state
        (table,) = [table for table in tables.values() if table.source == tp.topic]
        count = await fill.fill(settings, Bronze(open_catalog(settings.iceberg)), tp, offsets, table)
        say(f"{tp.topic}[{tp.partition}]: {count} trades normalized from Iceberg")
    await _tell(settings.kafka, [item for item in made.skips if not _is_filled(made, item)])
    await _write(settings.kafka, Role(made.role).group, goals, tables)


async def _adopt(settings: Settings, made: MendPlan, todo: Lift, tables: dict[str, BatchTable]) -> None:
    (item,) = [item for item in made.found if item.tp == TP(todo.topic, todo.partition)]
    if item.orphans:
        (table,) = [table for table in tables.values() if table.source == todo.topic]
        await orphans.adopt(settings, item, table, todo.first)


def _is_filled(made: MendPlan, item: SourceFound) -> bool:
    return item.tp in made.fills and made.fills[item.tp].stop == item.shown.begin


def _after(made: MendPlan, tp: TP, begin: int) -> LogIdentity:
    """The identity for a log that begins where reading continues: no earlier record can be a proof."""
    (item,) = [item for item in made.found if item.tp == tp]
    return proof.identity(Proof(begin - 1, 0, 0), _generation([item]) + 1)


def _generation(found: Iterable[SourceFound]) -> int:
    return max((item.identity.generation for item in found if item.identity), default=0)


async def _ends(
    settings: KafkaSettings, tps: Sequence[TP], found: Sequence[SourceFound]
) -> dict[TP, tuple[int, LogIdentity]]:
    """The least positions, with identities, that the tables will have after a rebuild."""
    ends = {tp: tables.end for tp, tables in (await shown_at(settings, dict.fromkeys(tps, -1))).items()}
    shown = await shown_at(settings, {tp: end - 1 for tp, end in ends.items()})
    goals = {}
    for tp, end in ends.items():
        last, begin = shown[tp].record, shown[tp].begin
        kept = proof.identity(last or Proof(begin - 1, 0, 0), _generation(found) + 1)
        goals[tp] = (begin if last is None else end), kept
    return goals


async def _create_changelogs(settings: KafkaSettings, role: str, tables: dict[str, BatchTable]) -> None:
    declared = [found for found in create_app(role).changelogs() if found.source]
    await ensure_topics(settings, declared, recreate=[found.name for found in declared])


async def _tell(settings: KafkaSettings, skips: Sequence[SourceFound]) -> None:
    """Publish a feed event for records that were never read: candles of that time are not healthy."""
    if not skips:
        return
    now = clock.now_us()
    async with producing(settings) as producer:
        for item in skips:
            exchange = topics.exchange_of(item.tp.topic)
            since = item.identity.proof.timestamp * 1000 if item.identity else 0
            event = FeedEvent(
                kind=EventKind.EXPIRED, exchange=exchange, time=now, since=since, detail=item.judgement.seen
            )
            await (await producer.send(topics.FEED_EVENTS, events.encode(event), exchange.encode()))


async def _begin_rebuild(
    settings: KafkaSettings, found: Sequence[SourceFound], tables: dict[str, BatchTable]
) -> None:
    """Write a later identity to one of the tables: until all have one of that generation, none is usable.

    A rebuild writes tombstones before entries: a kill between them would leave tables with right positions.
    """
    ahead = {}
    for item in found:
        if item.identity is not None:
            item.identity = msgspec.structs.replace(
                item.identity, generation=item.identity.generation + 1, resume=-1
            )
            ahead[item.tp] = item.identity
    await _identify(settings, ahead, [tables[min(tables)]])
    if busy := await members(settings) & {Role.CANDLES.group}:
        raise GroupBusy(f"workers of {', '.join(busy)} have started: stop them, and mend again")


async def _identify(
    settings: KafkaSettings, identities: Mapping[TP, LogIdentity], tables: Iterable[BatchTable]
) -> None:
    async with producing(settings) as producer:
        for table in tables:
            for tp, kept in identities.items():
                if table.source == tp.topic:
                    table.identify(tp.partition, kept)
            await send_changes(producer, table)


async def _write(
    settings: KafkaSettings,
    group: str,
    goals: dict[TP, tuple[int, LogIdentity]],
    tables: dict[str, BatchTable],
) -> None:
    """Write positions and identities to the tables' changelogs, then to the group's committed offsets.

    Who ends between the two, or cannot commit, has told the worker by `resume` where to read on.
    """
    goals = {
        tp: (offset, msgspec.structs.replace(kept, resume=offset)) for tp, (offset, kept) in goals.items()
    }
    await _identify(settings, {tp: kept for tp, (_, kept) in goals.items()}, tables.values())
    if goals:
        async with GroupPositions(settings, group, goals) as positions:
            await positions.commit(
                {tp: Committed(offset, proof.write(kept)) for tp, (offset, kept) in goals.items()}
            )
