"""Bronze rows whose offsets mean another trade: a sink read them of a log that used the offsets again.

What an offset means is what the normaliser took it for: canonical trades carry it. A sink that had not read
what a cut took with it went on in the new log, under offsets of others; one that had read it while the
normaliser had not has rows under offsets that are canonical trades of the new log by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from k2stream.clickhouse import cluster
from k2stream.clickhouse.destination import connect
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.commit import committed
from k2stream.iceberg.writer import carried
from k2stream.settings import Settings


class Reached(NamedTuple):
    """How far a sink's bronze table is in a raw partition: the offset after its last.

    `reads`: whether the record there is one of the log as it is; None where nothing tells.
    """

    hot: bool
    end: int
    reads: bool | None


class Drop(NamedTuple):
    """Rows of a partition that are to go: offsets from `first` to before `end`, of ClickHouse or Iceberg."""

    hot: bool
    exchange: str
    partition: int
    first: int
    end: int

    def __str__(self) -> str:
        tier = "ClickHouse" if self.hot else "Iceberg"
        rows = f"rows of offsets {self.first} to {self.end - 1}"
        return f"{rows} of {tier}'s bronze_trades_{self.exchange} are removed: these are of other trades"


def drops(
    exchange: str, partition: int, cut: int, used: int, normalised: int | None, sinks: Iterable[Reached]
) -> Iterator[Drop]:
    """What is wrong of a log whose offsets from `cut` to before `used` were given twice (pure).

    `normalised`: up to where the normaliser has read the new log; None where it has only read the old one.
    """
    own = cut if normalised is None else max(normalised, cut)
    for sink in sinks:
        # Rows of the old log, or of the new one: those that are published again above come again.
        first, end = (own, min(sink.end, used)) if sink.reads else (cut, min(own, sink.end))
        if sink.reads is not None and first < end:
            yield Drop(sink.hot, exchange, partition, first, end)


def drop(settings: Settings, todo: Drop) -> None:
    """Remove the rows; done again it does nothing."""
    if todo.hot:
        table = f"{settings.clickhouse_database}.bronze_trades_{todo.exchange}"
        where = f"raw_partition = {todo.partition} AND raw_offset >= {todo.first} AND raw_offset < {todo.end}"
        client = connect(settings)
        for statement in cluster.clustered(
            f"ALTER TABLE {table} DELETE WHERE {where}", settings.clickhouse_cluster
        ):
            client.execute(statement, settings={"mutations_sync": 2})
        client.disconnect()
        return
    where = f"raw_partition == {todo.partition} and raw_offset >= {todo.first} and raw_offset < {todo.end}"

    def attempt() -> None:
        table = open_catalog(settings).load_table(f"cold.bronze_trades_{todo.exchange}")
        table.delete(where, snapshot_properties=carried(table))

    committed(attempt)
