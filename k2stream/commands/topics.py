"""`k2 topics`: what is in Kafka."""

from __future__ import annotations

import asyncio

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from k2stream import settings as settings_module
from k2stream import topics as declared
from k2stream.kafka.client import client_options
from k2stream.platform.running import reached
from k2stream.settings import KafkaSettings

_HOUR_MS = 3_600_000


@click.command()
def topics() -> None:
    """List the topics: records, partitions, retention, key and schema."""
    settings = reached(settings_module.get())
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
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False)
    await consumer.start()
    try:
        found = {}
        for topic in declared.declared(settings):
            partitions = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
            begin = await consumer.beginning_offsets(partitions)
            end = await consumer.end_offsets(partitions)
            found[topic.name] = sum(end[tp] - begin[tp] for tp in partitions)
        return found
    finally:
        await consumer.stop()
