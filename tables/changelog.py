"""Reads a table from its changelog topic, now or as of a past time, and says what is uncertain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from k2stream.batch import BatchTable, Reach, restore, uncertainties
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings
from k2stream.tables.catalog import Readable, Row


@dataclass(slots=True)
class Contents:
    """Rows in key order, changelog entries read, and notes on what compaction has removed."""

    rows: list[Row]
    entries: int = 0
    notes: list[str] = field(default_factory=list)


async def read(settings: KafkaSettings, readable: Readable, key: str | None, at: int | None) -> Contents:
    """Read the table now, or as of `at` (ms since 1970); only the rows of `key` when it is given.

    A worker writes its changes before each commit, so the changelog lags by K2_COMMIT_SECONDS at most.
    Raises ConfigError when the changelog topic does not exist or an entry cannot be read.
    """
    table = readable.table
    partitions = table.partitions or 1
    reach = {number: Reach(at) for number in range(partitions)} if at is not None else {}
    async with Reader(settings, columnar=True) as reader:
        entries = await load(reader, table, reach)
    found = [
        (found_key, value)
        for number in range(partitions)
        for found_key, value in table.partition_items(number)
        if key is None or readable.name_of(found_key) == key
    ]
    rows = [readable.row(found_key, value) for found_key, value in sorted(found, key=lambda item: item[0])]
    loads_key = table.key_codec()[1]

    def name_of(raw: bytes) -> str | None:
        name = readable.name_of(loads_key(raw))
        return name if key is None or name == key else None

    return Contents(rows, entries, uncertainties(reach.values(), name_of) if reach else [])


async def load(reader: Reader, table: BatchTable, reach: Mapping[int, Reach] = MappingProxyType({})) -> int:
    """Fill a table from its changelog, up to the reach of each partition; returns the entries read.

    Raises ConfigError when the changelog topic does not exist or an entry cannot be read.
    """
    entries, topic = 0, table.changelog_topic_name
    try:
        async for batch in reader.read(topic, await reader.retained(topic, table.partitions or 1)):
            entries += restore(table, batch, reach.get(batch.tp.partition))
    except ValueError as error:
        raise ConfigError(f"table {table.name}: {error}") from None
    return entries
