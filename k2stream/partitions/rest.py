"""What must be at rest before a partition count is changed."""

from __future__ import annotations

import asyncio

from k2stream import topics
from k2stream.kafka import groups
from k2stream.kafka.lag import LagReader
from k2stream.kafka.reader import Reader
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings, Settings

DRAINED = (Role.NORMALIZE, Role.CANDLES, Role.CERTIFY)
"""The roles that must have read all there is: what they hold of a symbol goes with it. The sinks need not."""

WATCH_SECONDS = 5.0
"""How long the raw topics are watched: an ingest worker is in no group."""


async def check_stopped(settings: KafkaSettings) -> None:
    """Raise ConfigError while workers are running; one that has just started joins its group meanwhile."""
    await _check_groups(settings)
    before = await _ends(settings)
    await asyncio.sleep(WATCH_SECONDS)
    await _check_groups(settings)
    if moved := [topic for topic, ends in (await _ends(settings)).items() if ends != before[topic]]:
        raise ConfigError(f"{', '.join(moved)} is being written: stop the ingest workers and backfills first")


async def _check_groups(settings: KafkaSettings) -> None:
    if running := await groups.members(settings):
        raise ConfigError(
            f"workers of {', '.join(sorted(running))} are running: stop them all, ingest first, the others "
            "when nothing lags (`k2 status`); of `k2 up`, just stop it"
        )


async def lagging(settings: Settings) -> dict[str, int]:
    """The number of records that each group of DRAINED has to read; groups without any are left out."""
    async with LagReader(settings) as lags:
        found = await lags.lag([role.group for role in DRAINED])
    return {group: count for group, topics in found.items() if (count := sum(topics.values()))}


async def check_drained(settings: Settings) -> None:
    """Raise ConfigError when a role of DRAINED has records to read."""
    if left := await lagging(settings):
        said = ", ".join(f"{group} has {count:,} records to read" for group, count in left.items())
        raise ConfigError(
            f"{said}: start all workers but ingest again until nothing lags (`k2 status`), and stop them"
        )


async def _ends(settings: KafkaSettings) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    async with Reader(settings) as reader:
        for name in topics.EXCHANGES:
            if await reader.exists(topic := topics.raw(name)):
                retained = await reader.retained(topic, settings.raw_partitions(name))
                found[topic] = {number: end for number, (_, end) in retained.items()}
    return found
