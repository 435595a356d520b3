"""`k2 topics`: lists the topics and their record counts."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.table import Table

from k2stream import topics as declared
from k2stream.commands.output import Printer, printed
from k2stream.kafka.reader import Reader
from k2stream.platform.running import reached
from k2stream.settings import KafkaSettings, current

_HOUR_MS = 3_600_000


@click.command()
@printed
def topics(*, out: Printer) -> None:
    """List the topics: records, partitions, retention, key and schema."""
    settings = reached(current())
    counts = asyncio.run(_counts(settings.kafka))
    listed = [
        {
            "topic": topic.name,
            "records": counts[topic.name],
            "partitions": topic.partitions,
            "retention_ms": topic.retention_ms,
            "schema": topic.schema,
            "key": topic.key,
        }
        for topic in declared.declared(settings.kafka)
    ]
    simulated = settings.feeds.simulated
    out.show({"simulated": simulated, "topics": listed}, _table(listed, simulated))


def _table(listed: list[dict[str, Any]], simulated: bool) -> Table:
    title = "SIMULATED feeds" if simulated else None
    table = Table(box=None, pad_edge=False, padding=(0, 1), collapse_padding=True, title=title)
    table.add_column("topic", no_wrap=True)
    for heading in ("records", "parts"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("kept", "schema", "key"):
        table.add_column(heading, overflow="fold")
    for topic in listed:
        kept = f"{topic['retention_ms'] // _HOUR_MS} h"
        numbers = (f"{topic['records']:,}", str(topic["partitions"]))
        table.add_row(topic["topic"], *numbers, kept, topic["schema"], topic["key"])
    return table


async def _counts(settings: KafkaSettings) -> dict[str, int]:
    """Number of records that the broker retains, by topic; 0 for a topic that does not exist."""
    found = {}
    async with Reader(settings) as reader:
        for topic in declared.declared(settings):
            exists = await reader.exists(topic.name)
            stretches = await reader.retained(topic.name, topic.partitions) if exists else {}
            found[topic.name] = sum(end - begin for begin, end in stretches.values())
    return found
