"""`k2 topics`: lists the topics and their record counts."""

from __future__ import annotations

import asyncio

import click
from rich.console import Console
from rich.table import Table

from k2stream import topics as declared
from k2stream.kafka.reader import Reader
from k2stream.platform.running import reached
from k2stream.settings import KafkaSettings, current

_HOUR_MS = 3_600_000


@click.command()
def topics() -> None:
    """List the topics: records, partitions, retention, key and schema."""
    settings = reached(current())
    counts = asyncio.run(_counts(settings.kafka))
    table = Table(box=None, pad_edge=False, title="SIMULATED feeds" if settings.feeds.simulated else None)
    table.add_column("topic", no_wrap=True)
    for heading in ("records", "parts"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("kept", "schema", "key"):
        table.add_column(heading)
    for topic in declared.declared(settings.kafka):
        kept = f"{topic.retention_ms // _HOUR_MS} h"
        table.add_row(
            topic.name, f"{counts[topic.name]:,}", str(topic.partitions), kept, topic.schema, topic.key
        )
    Console().print(table)


async def _counts(settings: KafkaSettings) -> dict[str, int]:
    """Number of records that the broker retains, by topic; 0 for a topic that does not exist."""
    found = {}
    async with Reader(settings) as reader:
        for topic in declared.declared(settings):
            exists = await reader.exists(topic.name)
            stretches = await reader.retained(topic.name, topic.partitions) if exists else {}
            found[topic.name] = sum(end - begin for begin, end in stretches.values())
    return found
