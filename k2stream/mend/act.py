"""Mending: what is done to a role's state, and what is lost by it, said before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from k2stream import clock, events, topics
from k2stream.app import create_app
from k2stream.batch import BatchTable, proof
from k2stream.batch.proof import Note, Proof, Verdict
from k2stream.cold.catalog import open_catalog
from k2stream.cold.tables import TABLES
from k2stream.events import EventKind, FeedEvent
from k2stream.kafka import client_options, ensure_topics
from k2stream.mend import lift
from k2stream.mend.lift import Lift, Say
from k2stream.mend.look import SOURCES, Found, shown_at
from k2stream.reading import Reader
from k2stream.replay import source
from k2stream.replay.rebuild import Rebuild
from k2stream.replay.run import BATCH_RECORDS
from k2stream.replay.tables import Tables, send_changes
from k2stream.settings import Settings
from k2stream.sinks import bronze
from k2stream.sinks.clickhouse import ClickHouse
from k2stream.sinks.iceberg import Iceberg
from k2stream.sinks.progress import Position


@dataclass(slots=True)
class Plan:
    """What will be done, in the order in which it is; `losses` are said before."""

    role: str
    found: list[Found]
    lifts: list[Lift] = field(default_factory=list)
    skips: list[Found] = field(default_factory=list)
    rebuilds: bool = False
    steps: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


async def plan(settings: Settings, role: str, found: Sequence[Found], *, rebuild: bool = False) -> Plan:
    """What mends the partitions that are wrong, to the role or, of a raw topic, to the sinks."""
    held = await _sinks(settings, found) if role == "normalize" else {}
    wrong = [item for item in found if not item.is_right or (rebuild and role == "candles")]
    made = Plan(role, wrong)
    if role == "candles":
        made.rebuilds = bool(wrong)
        if wrong:
            made.steps.append("the candle tables are rebuilt from the raw topics, and Iceberg before them")
            made.losses.append("no trade; candles that change are published again, final ones by a revision")
        return made
    for item in wrong:
        where = f"{item.tp.topic}[{item.tp.partition}]"
        if item.judgement.verdict is Verdict.REFUSE:
            newest = item.note.proof.timestamp if item.note else 0
            used = max([item.position, *(position.offset + 1 for position in held[item.tp])])
            todo = await lift.plan(settings, item.tp.topic, item.tp.partition, used, newest)
            made.lifts.append(todo)
            made.steps.append(
                f"{where}: offsets below {todo.used} are taken, {todo.copies} new records below it are "
                "published again above it, marked as fetched afterwards"
            )
            made.losses.append(f"{where}: what the old log held and nobody had read")
        elif item.judgement.verdict is Verdict.EXPIRED:
            made.skips.append(item)
            made.steps.append(f"{where}: reading goes on at offset {item.shown.begin}")
            made.losses.append(f"{where}: {item.judgement.seen}; candles of that time say feed_healthy false")
        if item.lost_tables:
            made.rebuilds = True
            made.steps.append(f"{where}: {', '.join(item.lost_tables)} rebuilt from raw records")
    return made


async def _sinks(settings: Settings, found: Sequence[Found]) -> dict[TP, list[Position]]:
    """How far the sinks are in raw topics; a partition is wrong as well when it is so to one of them."""
    held: dict[TP, list[Position]] = {item.tp: [] for item in found}
    cold = [table.route for table in TABLES.values() if table.route.topic in SOURCES["normalize"]]
    for sink, routes in ((ClickHouse(settings), bronze.ROUTES), (Iceberg(settings), cold)):
        for route in routes:
            for number, position in (await asyncio.to_thread(sink.positions, route)).items():
                held.setdefault(TP(route.topic, number), []).append(position)
        sink.close()
    for item in found:
        for position in held[item.tp]:
            kept = proof.read(position.source)
            wanted = {item.tp: kept.proof.offset if kept else position.offset}
            shown = (await shown_at(settings, wanted))[item.tp]
            judged = proof.judge(position.offset + 1, kept, shown)
            if judged.verdict is Verdict.REFUSE and item.judgement.verdict is not Verdict.REFUSE:
                item.judgement = judged
    return held


async def do(settings: Settings, made: Plan, held: dict[str, BatchTable], say: Say) -> None:
    """Do what was planned; killed anywhere, another run finishes it. The role's workers must not run."""
    await _create_changelogs(settings, made.role, held)
    goals: dict[TP, tuple[int, Note]] = {}
    if made.role == "candles":
        goals = await _ends(settings, [item.tp for item in made.found], made.found)
    for todo in made.lifts:
        begin = await lift.lift(settings, todo, say)
        goals[TP(todo.topic, todo.partition)] = begin, _after(made, TP(todo.topic, todo.partition), begin)
    for item in made.skips:
        goals[item.tp] = item.shown.begin, _after(made, item.tp, item.shown.begin)
    if made.rebuilds:
        limits = {item.tp: item.committed for item in made.found} if made.role == "normalize" else {}
        keys = await _rebuild(settings, held, limits, say)
        say(f"{keys:,} table entries written")
        for item in made.found:
            if item.tp not in goals and (item.note is not None or item.shown.record is not None):
                kept = item.note or proof.note(item.shown.record)  # type: ignore[arg-type]
                goals[item.tp] = item.committed, Note(kept.version, kept.generation + 1, kept.proof)
    await _tell(settings, made.skips)
    await _write(settings, f"k2-{made.role}", goals, held)


def _after(made: Plan, tp: TP, begin: int) -> Note:
    """A note of a log that begins where reading goes on: nothing before it can be shown."""
    (item,) = [item for item in made.found if item.tp == tp]
    return proof.note(Proof(begin - 1, 0, 0), _generation([item]) + 1)


def _generation(found: Iterable[Found]) -> int:
    return max((item.note.generation for item in found if item.note), default=0)


async def _ends(settings: Settings, tps: Sequence[TP], found: Sequence[Found]) -> dict[TP, tuple[int, Note]]:
    """Where the tables will be at least, once they are rebuilt from all raw records that there are then."""
    ends = {tp: held.end for tp, held in (await shown_at(settings, dict.fromkeys(tps, -1))).items()}
    shown = await shown_at(settings, {tp: end - 1 for tp, end in ends.items()})
    goals = {}
    for tp, end in ends.items():
        last, begin = shown[tp].record, shown[tp].begin
        kept = proof.note(last or Proof(begin - 1, 0, 0), _generation(found) + 1)
        goals[tp] = (begin if last is None else end), kept
    return goals


async def _rebuild(settings: Settings, held: dict[str, BatchTable], limits: dict[TP, int], say: Say) -> int:
    """Tables as all raw records make them, up to the limits; how many entries were other."""
    built, catalog = Rebuild(settings), open_catalog(settings)
    async with Reader(settings, columnar=True) as reader:
        for part in await source.plan(settings, reader, catalog, "auto"):
            end = limits.get(TP(topics.raw(part.exchange), part.partition), part.end)
            part = part._replace(begin=min(part.begin, end), end=min(part.end, end))
            async for batch in source.batches(reader, catalog, part, BATCH_RECORDS, say):
                await asyncio.to_thread(built.take, part.exchange, batch)
    return await Tables(held, built, settings.candle_retention).repair(settings, reopen=True)


async def _create_changelogs(settings: Settings, role: str, held: dict[str, BatchTable]) -> None:
    declared = [found for found in create_app(role).changelogs() if found.source]
    await ensure_topics(settings, declared, anew=[found.name for found in declared])


async def _tell(settings: Settings, skips: Sequence[Found]) -> None:
    """A feed event for what was never read: candles of that time are not healthy."""
    if not skips:
        return
    now = clock.now_us()
    async with AIOKafkaProducer(**client_options(settings), acks="all") as producer:
        for item in skips:
            exchange = next(name for name in topics.EXCHANGES if topics.raw(name) == item.tp.topic)
            since = item.note.proof.timestamp * 1000 if item.note else 0
            event = FeedEvent(
                kind=EventKind.EXPIRED, exchange=exchange, time=now, since=since, detail=item.judgement.seen
            )
            await producer.send_and_wait(topics.FEED_EVENTS, events.encode(event), exchange.encode())


async def _write(
    settings: Settings, group: str, goals: dict[TP, tuple[int, Note]], held: dict[str, BatchTable]
) -> None:
    """Positions with their notes: in the tables' changelogs, then beside the group's offsets."""
    options: dict[str, Any] = client_options(settings)
    async with AIOKafkaProducer(**options, acks="all", enable_idempotence=True) as producer:
        for tp, (_, kept) in goals.items():
            for table in held.values():
                if table.source == tp.topic:
                    table.note(tp.partition, kept)
        for table in held.values():
            await send_changes(producer, table)
    consumer = AIOKafkaConsumer(**options, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(*tp) for tp in goals])
        consumer.pause(*(TopicPartition(*tp) for tp in goals))
        if goals:
            await consumer.commit(
                {
                    TopicPartition(*tp): OffsetAndMetadata(offset, proof.write(kept))
                    for tp, (offset, kept) in goals.items()
                }
            )
    finally:
        await consumer.stop()
