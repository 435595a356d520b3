"""`k2 migrate`: brings registry, ClickHouse and Iceberg up to the schemas of this release."""

from __future__ import annotations

import asyncio

import click

from k2stream import topics
from k2stream.avro import registry
from k2stream.clickhouse.destination import connect
from k2stream.clickhouse.migrate import migrate as apply
from k2stream.commands.output import Printer, printed
from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.model.errors import ConfigError
from k2stream.platform.running import reached
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings, current

_REGISTRY_SECONDS = 15.0


@click.command()
@printed
def migrate(*, out: Printer) -> None:
    """Bring registry, ClickHouse and Iceberg up to this release's schemas (workers do it at start as well).

    A field that was added to schemas/avro/trade.avsc is registered, where it has to be compatible with what
    was written before, and becomes a column of the silver tables.
    """
    settings = reached(current())
    subjects = asyncio.run(_register(settings.kafka))
    out.line({"store": "registry", "registered": subjects}, "registry: all schemas are registered")
    applied = apply(connect(settings.clickhouse), settings.clickhouse)
    text = "ClickHouse: " + (f"applied {', '.join(applied)}" if applied else "up to date")
    out.line({"store": "ClickHouse", "applied": applied}, text)
    made = list(tables.ensure_all(open_catalog(settings.iceberg)))
    out.line({"store": "Iceberg", "changed": made}, "Iceberg: " + (", ".join(made) or "up to date"))


async def _register(settings: KafkaSettings) -> list[str]:
    """Register the schemas; returns the topics whose records have one."""
    registered = []
    try:
        async with asyncio.timeout(_REGISTRY_SECONDS):
            for topic in topics.declared(settings):
                if (SCHEMAS / "avro" / f"{topic.schema}.avsc").exists():
                    await registry.register(topic.name, topic.schema, settings.registry)
                    registered.append(topic.name)
    except TimeoutError:
        raise ConfigError(
            f"no schema registry at {settings.registry_url}; start one with `k2 up` or set K2_REGISTRY_URL"
        ) from None
    return registered
