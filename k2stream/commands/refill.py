"""`k2 refill`: lets a sink's table continue without rows that Kafka no longer has, or start again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click

from k2stream import topics
from k2stream.clickhouse.destination import ClickHouse
from k2stream.commands.output import Printer, printed
from k2stream.delivery.anchors import renamed
from k2stream.delivery.destination import Destination, DestinationUnavailable, WentBack
from k2stream.delivery.epochs import refilled
from k2stream.delivery.progress import SinkPosition, SourcePartition
from k2stream.delivery.route import Route
from k2stream.iceberg.catalog import existing_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.tables import TABLES
from k2stream.kafka.reader import OffsetRanges, Reader
from k2stream.layers.routes import HOT
from k2stream.model.errors import ConfigError
from k2stream.platform.running import reached
from k2stream.settings import KafkaSettings, Settings, current


@click.command()
@click.argument("table")
@click.option("--all", "everything", is_flag=True, help="Read all again that Kafka has (ClickHouse only).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@printed
def refill(table: str, everything: bool, yes: bool, *, out: Printer) -> None:
    """Let TABLE (silver_trades, cold.silver_trades, …) be filled from what Kafka still has.

    Says first which offsets will be missing. A running worker follows within seconds; one that was refused
    is to be started again.
    """
    settings = reached(current())
    route, destination = _route(settings, table)
    if everything and isinstance(destination, Iceberg):
        raise ConfigError(
            f"--all: rows of Iceberg table {table} would be duplicated; drop it: a cold worker creates and "
            "fills it"
        )
    if isinstance(destination, Iceberg):
        existing_catalog(settings.iceberg)  # before it is created
    try:
        durable = destination.positions(route)
        begins = asyncio.run(_retained(settings.kafka, route))
        moved: dict[SourcePartition, SinkPosition] = {}
        for number, (begin, _) in begins.items():
            at, found = SourcePartition(route.topic, number), durable.get(number, SinkPosition())
            position = refilled(found, begin, everything=everything)
            if position is None:
                continue
            moved[at] = position
            missing = (
                f", offsets {found.offset + 1} to {begin - 1} stay missing"
                if begin > found.offset + 1
                else ""
            )
            out.say(f"{table}: {at} is read from {position.offset + 1} on{missing}")
        read_from = {str(at): position.offset + 1 for at, position in moved.items()}
        result = {"table": table, "refilled": bool(moved), "read_from": read_from}
        if not moved:
            out.line(result, f"{table} lacks nothing that Kafka does not have")
        elif out.confirm("continue?", yes=yes):
            destination.open({(table, at): renamed(position) for at, position in moved.items()})
            out.line(result, f"{table}: {len(moved)} partitions are read again")
    except (DestinationUnavailable, WentBack) as error:
        raise ConfigError(str(error)) from None
    finally:
        destination.close()


def _route(settings: Settings, table: str) -> tuple[Route, Destination]:
    if table in HOT:
        return HOT[table], ClickHouse(settings.clickhouse)
    if table in TABLES:
        return TABLES[table].route, Iceberg(settings.iceberg)
    raise ConfigError(f"{table} is not a table of a sink; use one of {', '.join([*HOT, *TABLES])}")


async def _retained(settings: KafkaSettings, route: Route) -> OffsetRanges:
    counts: Mapping[str, int] = {topic.name: topic.partitions for topic in topics.declared(settings)}
    async with Reader(settings) as reader:
        return await reader.retained(route.topic, counts[route.topic])
