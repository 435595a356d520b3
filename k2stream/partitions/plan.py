"""Plans a new partition count: which topics get partitions, and which symbols move where (pure).

A raw topic grows to a multiple of its count: then each symbol stays, or moves to a new partition, never to
one that holds other records already. The log of a new partition begins at the end of the one its symbols
leave, so that the raw offset of a symbol goes on rising, and partitions in ascending order are in reading
order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from k2stream import topics
from k2stream.kafka.counts import NORMALIZED, CountChange, count_of, topic_of
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings, Settings, replace

_CHANGELOG = "-changelog"


class SymbolMove(NamedTuple):
    """The partitions that a symbol leaves and goes to."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class CountPlan:
    """A change, the settings that agree with it, and the topics that grow, with their counts.

    Topics that have grown before an interruption are left out.
    """

    change: CountChange
    settings: Settings
    grows: Mapping[str, int]

    @property
    def origins(self) -> dict[int, int]:
        """By new raw partition, the one that its symbols leave; empty for the count of derived topics."""
        before, after = self.change.before, self.change.after
        return {} if self.change.name == NORMALIZED else {n: n % before for n in range(before, after)}

    @property
    def variables(self) -> dict[str, int]:
        """The settings that every worker and command needs afterwards, by environment variable."""
        names = dict.fromkeys((self.change.name, NORMALIZED))
        return {variable(name): count_of(self.settings.kafka, name) for name in names}

    def lines(self) -> Iterator[str]:
        """What will be done, as lines of text."""
        for name, count in self.grows.items():
            yield f"will do: {name} gets {count} partitions"
        for number, origin in self.origins.items():
            yield f"will do: symbols of partition {origin} that belong to {number} go there, with their state"
        said = ", ".join(f"{name}={count}" for name, count in self.variables.items())
        yield f"then set: {said}; resume tokens of streams that name the old partitions are refused"


def variable(name: str) -> str:
    """The environment variable of a count."""
    return f"K2_{name.upper()}_PARTITIONS"


def check(change: CountChange) -> None:
    """Raise ConfigError for a change that would lose records, or take them out of their symbol's order."""
    topic = topic_of(change.name)
    if change.after < change.before:
        raise ConfigError(
            f"{topic} has {change.before} partitions: {change.after} would delete those above with their "
            "records, which Kafka cannot do; a smaller count is a new platform, see docs/operations/change.md"
        )
    if change.name != NORMALIZED and change.after % change.before:
        fits = -(-change.after // change.before) * change.before
        raise ConfigError(
            f"{topic} has {change.before} partitions: {change.after} is no multiple of it, and would move "
            f"symbols between partitions that have records already; {fits} is the next one possible"
        )


def plan(settings: Settings, change: CountChange, counts: Mapping[str, int]) -> CountPlan:
    """What is to be done. `settings` are those after the change, `counts` those that topics have now.

    A topic that does not exist is created by its workers.
    """
    wanted = {topic.name: topic.partitions for topic in topics.declared(settings.kafka)}
    wanted |= {name: count for name in counts if (count := changelog_count(name, settings.kafka))}
    grows = {name: count for name, count in wanted.items() if counts.get(name, count) < count}
    return CountPlan(change, settings, grows)


def changelog_count(name: str, settings: KafkaSettings) -> int | None:
    """The count of a table's changelog, which is that of the table's source; None for any other topic."""
    if not name.endswith(_CHANGELOG):
        return None
    for exchange in topics.EXCHANGES:
        if name == f"{Role.NORMALIZE.group}-positions_{exchange}{_CHANGELOG}":
            return settings.raw_partitions(exchange)
    derived = name.startswith((f"{Role.CANDLES.group}-", f"{Role.CERTIFY.group}-"))
    return settings.normalized_partitions if derived else None


def after(settings: Settings, change: CountChange) -> Settings:
    """The settings that agree with the topics once a change is made.

    Canonical trades are in the partition of their raw record: their count is never below a raw one.
    """
    normalized = max(settings.kafka.normalized_partitions, change.after)
    return replace(
        settings, **{f"{change.name}_partitions": change.after, "normalized_partitions": normalized}
    )


def moves(symbols: Iterable[str], change: CountChange) -> dict[str, SymbolMove]:
    """Where each native symbol goes; those that stay are left out."""
    found = {
        symbol: SymbolMove(
            topics.partition_of(symbol, change.before), topics.partition_of(symbol, change.after)
        )
        for symbol in symbols
    }
    return {symbol: move for symbol, move in found.items() if move.before != move.after}
