"""Compares a role's state with what it refers to, as its worker does at start, but without the worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from k2stream import exchanges, topics
from k2stream.batch import TP, BatchTable, Stored
from k2stream.batch.proof import Judgement, LogIdentity, Shown, Verdict
from k2stream.kafka import groups
from k2stream.kafka.groups import Committed
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings, Settings
from k2stream.tables.catalog import catalog
from k2stream.tables.changelog import load
from k2stream.tables.orphans import Orphans, TradesBeyond

SOURCES = {role.value: groups.SOURCES[role.group] for role in (Role.NORMALIZE, Role.CANDLES, Role.CERTIFY)}
"""The source topics of the roles whose state can be repaired."""


@dataclass(slots=True)
class SourceFound:
    """One source partition: from where it is read, what the broker shows, what is wrong with its tables."""

    tp: TP
    committed: int
    position: int
    identity: LogIdentity | None
    shown: Shown
    judgement: Judgement
    tables: dict[str, Judgement] = field(default_factory=dict)
    refused: bool = False  # by the role itself, regardless of sinks
    orphans: Orphans | None = None

    def __post_init__(self) -> None:
        self.refused = self.judgement.verdict is Verdict.REFUSE

    @property
    def lost_tables(self) -> list[str]:
        """The names of tables that cannot be used."""
        return [name for name, judged in self.tables.items() if judged.verdict is Verdict.REFUSE]

    @property
    def is_right(self) -> bool:
        """Whether a worker would continue from this state."""
        return self.judgement.verdict in (Verdict.CONTINUE, Verdict.ADOPT) and not self.lost_tables

    def lines(self) -> list[str]:
        """What is wrong, as lines of text."""
        where = f"{self.tp.topic}[{self.tp.partition}]"
        own = [] if self.judgement.verdict in (Verdict.CONTINUE, Verdict.ADOPT) else [self.judgement.seen]
        tables = [f"table {name}: {self.tables[name].seen}" for name in self.lost_tables]
        return [f"{where}: {seen}" for seen in (*own, *tables)]


async def look(settings: Settings, role: str) -> tuple[list[SourceFound], dict[str, BatchTable]]:
    """Every source partition of a role, and its tables as loaded from their changelogs."""
    own = {} if role == Role.CERTIFY else catalog(settings)  # the tables of that role name no source
    tables = {name: item.table for name, item in own.items() if item.table.source in SOURCES[role]}
    async with Reader(settings.kafka, columnar=True) as reader:
        for table in tables.values():
            if await reader.exists(table.changelog_topic_name):
                await load(reader, table)
        missing = [topic for topic in SOURCES[role] if not await reader.exists(topic)]
    if missing:
        writer = "`k2 mend normalize`" if missing[0] == topics.NORMALIZED else "its writer (`k2 up`)"
        writer = "`k2 mend candles`" if role == Role.CERTIFY and missing[0] != topics.NORMALIZED else writer
        raise ConfigError(f"topic {missing[0]} does not exist: {writer} creates it")
    counts = {topic.name: topic.partitions for topic in topics.declared(settings.kafka)}
    tps = [TP(topic, number) for topic in SOURCES[role] for number in range(counts[topic])]
    committed = await groups.committed(settings.kafka, Role(role).group)
    found = await _judged(settings.kafka, tps, committed, list(tables.values()))
    if role == Role.NORMALIZE:
        await _look_for_orphans(settings.kafka, found, tables.values())
    return found, tables


async def _look_for_orphans(
    settings: KafkaSettings, found: Sequence[SourceFound], tables: Iterable[BatchTable]
) -> None:
    """Add what the normalizer refuses where it would otherwise read on."""
    for table in tables:
        right = {item.tp.partition: item for item in found if item.tp.topic == table.source and item.is_right}
        exchange = exchanges.get(topics.exchange_of(table.source))
        for number, seen in (await TradesBeyond(settings, exchange, table).orphans(right)).items():
            item = right[number]
            item.orphans, item.refused, item.judgement = seen, True, Judgement(Verdict.REFUSE, str(seen))


async def _judged(
    settings: KafkaSettings, tps: list[TP], committed: Mapping[TP, Committed], tables: list[BatchTable]
) -> list[SourceFound]:
    made_from = {tp.topic: [table for table in tables if table.source == tp.topic] for tp in tps}
    stored = {tp: Stored.of(tp.partition, committed.get(tp), made_from[tp.topic]) for tp in tps}
    shown = await shown_at(settings, {tp: one.asked for tp, one in stored.items()})
    found = []
    for tp, one in stored.items():
        start = one.start(shown[tp].begin)
        item = SourceFound(tp, start, one.position, one.newest, shown[tp], one.judge(shown[tp]))
        for table in made_from[tp.topic]:
            empty, identity = not table.partition_items(tp.partition), table.identities.get(tp.partition)
            item.tables[table.name] = one.judge_table(identity, empty=empty)
        found.append(item)
    return found


async def shown_at(settings: KafkaSettings, wanted: Mapping[TP, int]) -> dict[TP, Shown]:
    """What the broker shows of partitions, and of one offset each."""
    async with Reader(settings) as reader:
        return await reader.shown(wanted)
