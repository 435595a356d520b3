"""Moves what tables hold of symbols to their new partitions, while no worker runs.

An entry is durable in its new partition before it is deleted in the old one, so that a run that was killed
is continued by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k2stream import exchanges, instruments, topics
from k2stream.app import create_app
from k2stream.batch import BatchTable
from k2stream.batch.proof import LogIdentity
from k2stream.kafka.counts import NORMALIZED, CountChange
from k2stream.kafka.producer import DurableProducer
from k2stream.kafka.reader import Reader
from k2stream.partitions.plan import SymbolMove, moves
from k2stream.replay.tables import send_changes
from k2stream.settings import Settings
from k2stream.tables import agreement, certificates, ohlcv, positions
from k2stream.tables.changelog import load


def declared(settings: Settings) -> list[BatchTable]:
    """Every table of the platform, empty, with the counts of the settings."""
    candles = ohlcv.declare(create_app("candles"), settings.kafka.normalized_partitions)
    certify = create_app("certify")
    certified = certificates.declare(certify, settings.kafka.normalized_partitions)
    agreed = agreement.declare(certify, settings.kafka.normalized_partitions)
    raw = [
        positions.declare(create_app("normalize"), name, settings.kafka.raw_partitions(name))
        for name in topics.EXCHANGES
    ]
    own = certified.blocks, certified.progress, agreed.pending, agreed.first_trades
    return [*raw, *candles.windows.values(), candles.progress, *own]


async def read(settings: Settings, tables: Iterable[BatchTable]) -> None:
    """Fill the tables from their changelogs; one that no worker has written stays empty."""
    async with Reader(settings.kafka, columnar=True) as reader:
        for table in tables:
            if await reader.exists(table.changelog_topic_name):
                await load(reader, table)


def native(settings: Settings, tables: Iterable[BatchTable], change: CountChange) -> dict[str, SymbolMove]:
    """Where each native symbol that the normalizer knows of an exchange goes."""
    if change.name == NORMALIZED:
        return {}
    (table,) = [table for table in tables if table.source == topics.raw(change.name)]
    return moves((key for number in range(change.after) for key, _ in table.partition_items(number)), change)


def canonical(settings: Settings, exchange: str, found: Mapping[str, SymbolMove]) -> dict[str, SymbolMove]:
    """The same by the key exchange:BASE/QUOTE."""
    spelled = instruments.canonical_of(
        exchanges.get(exchange), instruments.load(settings.feeds.instruments_file)
    )
    return {f"{exchange}:{spelled(symbol)}": move for symbol, move in found.items()}


def symbol_of(key: Any) -> str:
    """The exchange:BASE/QUOTE of a key of any table of candles, certificates or comparisons."""
    return (key if isinstance(key, str) else str(key[0])).partition("|")[0]


def leaving(
    table: BatchTable, found: Mapping[str, SymbolMove], *, of_exchange: bool
) -> list[tuple[Any, SymbolMove]]:
    """The keys of a table that are in the partition which their symbol leaves."""
    return [
        (key, move)
        for number in range(table.partitions or 1)
        for key, _ in table.partition_items(number)
        if (move := found.get(key if of_exchange else symbol_of(key))) and move.before == number
    ]


async def carry(
    producer: DurableProducer,
    table: BatchTable,
    found: Mapping[str, SymbolMove],
    *,
    of_exchange: bool = False,
) -> int:
    """SymbolMove a table's entries; returns how many. `of_exchange`: it is keyed by native symbol."""
    keys = leaving(table, found, of_exchange=of_exchange)
    for key, move in keys:
        table.put(move.after, key, table.get_from(move.before, key))
    ohlcv.keep_least(table, {move for _, move in keys})
    await send_changes(producer, table)
    for key, move in keys:
        table.delete(move.before, key)
    await send_changes(producer, table)
    return len(keys)


async def identify(producer: DurableProducer, table: BatchTable, begins: Mapping[int, LogIdentity]) -> None:
    """Note in a positions table where the logs of its new partitions begin."""
    for number, identity in begins.items():
        table.identify(number, identity)
    await send_changes(producer, table)
