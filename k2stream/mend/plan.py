"""Plans the repair of a role's state, and lists what is lost by it, before anything is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from k2stream import topics
from k2stream.batch import TP
from k2stream.batch.proof import Verdict
from k2stream.clickhouse.destination import ClickHouse
from k2stream.delivery.destination import Destination
from k2stream.delivery.route import Route
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.tables import TABLES
from k2stream.layers import bronze
from k2stream.mend import lift
from k2stream.mend.drop import Drop, Reached, drops
from k2stream.mend.lift import Lift
from k2stream.mend.look import SOURCES, SourceFound
from k2stream.mend.positions import judged
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings, Settings


@dataclass(slots=True)
class MendPlan:
    """What will be done, in that order; `losses` are announced first."""

    role: str
    found: list[SourceFound]
    committed: dict[TP, int]  # of all partitions, including correct ones
    drops: list[Drop] = field(default_factory=list)
    lifts: list[Lift] = field(default_factory=list)
    skips: list[SourceFound] = field(default_factory=list)
    fills: dict[TP, range] = field(default_factory=dict)  # offsets that only Iceberg has
    rereads: list[SourceFound] = field(default_factory=list)
    rebuilds: bool = False
    republishes: bool = False  # all retained candles, also those that are right in the tables
    steps: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


async def plan(
    settings: Settings,
    role: str,
    found: Sequence[SourceFound],
    *,
    rebuild: bool = False,
    republish: bool = False,
) -> MendPlan:
    """The repair of partitions that are wrong for the role, or, with raw topics, for the sinks.

    For candles, `rebuild` is of all tables, and `republish` publishes what they hold again.
    """
    by_partition = await _sinks(settings, found) if role == "normalize" else {}
    anyway = (rebuild or republish) and role == Role.CANDLES
    wrong = [item for item in found if not item.is_right or anyway]
    made = MendPlan(role, wrong, {item.tp: item.committed for item in found})
    if role == Role.CANDLES:
        made.rebuilds, made.republishes = bool(wrong), republish
        if wrong:
            made.steps.append(
                "the candle tables are rebuilt from the canonical topic, and from raw records before"
            )
            made.losses.append("no trade; candles that change are published again, final ones by a revision")
        if republish:
            made.steps.append("all candles that the tables retain are published again, for the sinks")
        return made
    if role == Role.CERTIFY:
        made.found = made.rereads = [item for item in wrong if item.refused]
        made.steps += [
            f"{item.tp.topic}[{item.tp.partition}]: read from its beginning" for item in made.found
        ]
        if made.found:
            made.losses.append("no candle; those that are read again are certified and compared again")
        return made
    for item in wrong:
        where = f"{item.tp.topic}[{item.tp.partition}]"
        if item.judgement.verdict is Verdict.REFUSE:
            await _plan_lift(settings.kafka, made, item, by_partition[item.tp])
        elif item.judgement.verdict is Verdict.EXPIRED:
            _plan_expired(made, item, max((at.end for at in by_partition[item.tp] if not at.hot), default=0))
        if item.lost_tables:
            made.rebuilds = True
            made.steps.append(f"{where}: {', '.join(item.lost_tables)} rebuilt from raw records")
    return made


def _plan_expired(made: MendPlan, item: SourceFound, cold_end: int) -> None:
    """Skip expired records; Iceberg still has those before offset `cold_end`."""
    where, begin = f"{item.tp.topic}[{item.tp.partition}]", item.shown.begin
    end = max(min(cold_end, begin), item.position)
    made.skips.append(item)
    if item.position < end:
        made.fills[item.tp] = range(item.position, end)
        made.steps.append(f"{where}: offsets {item.position} to {end - 1} are normalized from Iceberg")
    made.steps.append(f"{where}: reading continues at offset {begin}")
    if end < begin:
        made.losses.append(
            f"{where}: offsets {end} to {begin - 1} ({begin - end} records) have expired and were never "
            "read; candles of that time say feed_healthy false"
        )


async def _plan_lift(
    settings: KafkaSettings, made: MendPlan, item: SourceFound, sinks: Sequence[Reached]
) -> None:
    """Offsets were used twice: the log continues above them, unless only sinks read their first use."""
    where, exchange = f"{item.tp.topic}[{item.tp.partition}]", topics.exchange_of(item.tp.topic)
    newest = max((sink.newest for sink in sinks if sink.reads is False), default=0)
    if item.refused:
        newest = item.identity.proof.timestamp if item.identity else 0
    used = max([item.position, *(sink.end for sink in sinks)])
    if item.orphans:
        newest, used = item.orphans.newest or newest, max(used, item.orphans.last + 1)
        made.steps.append(f"{where}: the state gets the trades that were published without it")
    todo = await lift.plan(settings, item.tp.topic, item.tp.partition, used, newest)
    normalised = not item.refused
    wrong = list(drops(exchange, item.tp.partition, todo.first, used, sinks, normalised=normalised))
    made.drops += wrong
    made.steps += [f"{where}: {rows}" for rows in wrong]
    if normalised:
        made.steps += [f"{where}: {rows.tier} reads on from offset {rows.first}" for rows in wrong]
    else:
        made.lifts.append(todo)
        made.steps.append(
            f"{where}: offsets below {todo.used} are taken, {todo.copies} new records below it are "
            "published again above it, marked as fetched afterwards"
        )
    made.losses.append(f"{where}: records of the old log that were not normalized yet")


async def _sinks(settings: Settings, found: Sequence[SourceFound]) -> dict[TP, list[Reached]]:
    """How far the sinks are in raw topics; a partition that is wrong for one of them is marked as wrong."""
    by_partition: dict[TP, list[Reached]] = {item.tp: [] for item in found}
    cold = [table.route for table in TABLES.values() if table.route.topic in SOURCES["normalize"]]
    tiers: list[tuple[Destination, Sequence[Route]]] = [
        (ClickHouse(settings.clickhouse), bronze.ROUTES),
        (Iceberg(settings.iceberg), cold),
    ]
    by_tp = {item.tp: item for item in found}
    for tier, (sink, routes) in enumerate(tiers):
        for route in routes:
            stored = await asyncio.to_thread(sink.positions, route)
            known = {number: at for number, at in stored.items() if TP(route.topic, number) in by_tp}
            for number, one in (await judged(settings.kafka, route.topic, known)).items():
                item = by_tp[TP(route.topic, number)]
                newest = one.identity.proof.timestamp if one.identity else 0
                by_partition[item.tp].append(Reached(tier == 0, one.position.offset + 1, one.reads, newest))
                if one.refused and item.judgement.verdict is not Verdict.REFUSE:
                    item.judgement = one.judgement
        sink.close()
    return by_partition
