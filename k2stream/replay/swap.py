"""Swaps the names of rebuilt and live layers; a second swap undoes it."""

from __future__ import annotations

import asyncio

from k2stream import topics
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError
from k2stream.replay import positions
from k2stream.replay.groups import check_still
from k2stream.replay.positions import Ends
from k2stream.replay.tables import Tables
from k2stream.replay.tiers import Tiers
from k2stream.settings import Settings


async def check(settings: Settings, covered: Ends) -> None:
    """Raise ConfigError unless all workers are still and the replay covers every raw record."""
    await check_still(settings)
    async with Reader(settings.kafka) as reader:
        for exchange in topics.EXCHANGES:
            retained = await reader.retained(topics.raw(exchange), settings.kafka.raw_partitions(exchange))
            for number, (_, end) in retained.items():
                if covered[exchange, number] != end:
                    raise ConfigError(
                        f"{topics.raw(exchange)}[{number}] ends at {end}, the replay at "
                        f"{covered[exchange, number]}, so nothing is swapped: stop the workers, start again"
                    )


async def swap(settings: Settings, tiers: Tiers, tables: Tables, covered: Ends) -> int:
    """Swap the layers; returns how many table keys were rewritten. After a kill, another swap completes it.

    Raises ConfigError as `check` does. Sinks continue from the saved positions: nothing is lost or read
    twice.
    """
    await check(settings, covered)
    async with Reader(settings.kafka) as reader:
        reached = await positions.after(settings.kafka, reader, covered)
    for tier in tiers:
        await asyncio.to_thread(tier.save, reached)
    keys = await tables.repair(settings.kafka)
    await exchange(tiers)
    return keys


async def undo(settings: Settings, tiers: Tiers) -> None:
    """Swap the layers back; a sink whose old table is now behind fills it again from Kafka."""
    await check_still(settings)
    await exchange(tiers)


async def exchange(tiers: Tiers) -> None:
    """Swap the names of live and fresh layers in all tiers."""
    for tier in tiers:
        await asyncio.to_thread(tier.check)
    for tier in tiers:
        await asyncio.to_thread(tier.exchange)
