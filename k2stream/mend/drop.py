"""Removes bronze rows that are attributed to another trade, because their offsets were used twice.

The trade of an offset is the one that the normalizer read, as canonical trades carry the offset. A sink that
had not read the records lost in a truncation continued in the new log, at offsets of other trades. A sink
that had read them before the normalizer did has rows of the old log at offsets that the new log uses again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from k2stream import topics
from k2stream.clickhouse import cluster
from k2stream.clickhouse.destination import connect
from k2stream.delivery.progress import SourcePartition
from k2stream.iceberg import owner, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.commit import committed
from k2stream.layers.table import BRONZE
from k2stream.mend.sinks import go_back
from k2stream.settings import ClickHouseSettings, IcebergSettings, Settings


class Reached(NamedTuple):
    """How far a sink's bronze table is in a raw partition: the offset after its last.

    `reads`: whether its last record is in the current log; None if unknown. `newest`: the time of that record
    in ms since 1970, 0 if unknown.
    """

    hot: bool
    end: int
    reads: bool | None
    newest: int = 0


class Drop(NamedTuple):
    """Rows of a partition to be removed from ClickHouse or Iceberg: offsets from `first` to before `end`.

    `again`: the table is read again from `first` on; if not, the trades arrive again at higher offsets.
    """

    hot: bool
    exchange: str
    partition: int
    first: int
    end: int
    again: bool

    @property
    def tier(self) -> str:
        """The name of the tier with the table."""
        return "ClickHouse" if self.hot else "Iceberg"

    def __str__(self) -> str:
        rows = f"rows of offsets {self.first} to {self.end - 1}"
        return f"{rows} of {self.tier}'s {BRONZE[self.exchange].hot} are removed: these are of other trades"


def drops(
    exchange: str, partition: int, cut: int, used: int, sinks: Iterable[Reached], *, normalised: bool
) -> Iterator[Drop]:
    """The rows to remove when offsets from `cut` to before `used` were assigned twice (pure).

    `normalised`: the normalizer reads the new log, and has read nothing of the old one from `cut` on.
    """
    for sink in sinks:
        if sink.reads is (not normalised) and cut < (end := min(sink.end, used)):
            yield Drop(sink.hot, exchange, partition, cut, end, normalised)


def drop(settings: Settings, todo: Drop) -> None:
    """Remove the rows, and move the position back if planned; safe to repeat.

    Raises StateRefused when another catalog owns the Iceberg table's location.
    """
    at = SourcePartition(topics.raw(todo.exchange), todo.partition)
    if todo.hot:
        _hot(settings.clickhouse, todo)
    else:
        _cold(settings.iceberg, todo)
    if todo.again:
        go_back(settings, BRONZE[todo.exchange], at, todo.first, hot=todo.hot)


def _hot(settings: ClickHouseSettings, todo: Drop) -> None:
    table = BRONZE[todo.exchange].hot
    where = f"raw_partition = {todo.partition} AND raw_offset >= {todo.first} AND raw_offset < {todo.end}"
    change = f"ALTER TABLE {settings.database}.{table} DELETE WHERE {where}"
    client = connect(settings)
    for statement in cluster.clustered(change, settings.cluster):
        client.execute(statement, settings={"mutations_sync": 2})
    client.disconnect()


def _cold(settings: IcebergSettings, todo: Drop) -> None:
    where = f"raw_partition == {todo.partition} and raw_offset >= {todo.first} and raw_offset < {todo.end}"

    def remove() -> None:
        table = owner.own(open_catalog(settings), BRONZE[todo.exchange].cold)
        table.delete(where, snapshot_properties=writer.carried(table))

    committed(remove)
