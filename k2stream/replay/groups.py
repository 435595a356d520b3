"""The consumer groups of the workers: whether they stand still, and how far they are."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from k2stream.kafka.client import client_options
from k2stream.kafka.lag import SOURCES, LagReader
from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings, Settings

_ATTEMPTS, _PAUSE_SECONDS = 50, 0.2


async def lagging(settings: Settings) -> set[str]:
    """Groups that have records to go."""
    async with LagReader(settings) as lags:
        return {group for group, found in (await lags.lag()).items() if any(found.values())}


async def members(settings: KafkaSettings) -> set[str]:
    """Groups that have a member."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        return {group for group in SOURCES if await _members(admin, group)}
    finally:
        await admin.close()


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    for _ in range(_ATTEMPTS):
        try:
            # One at a time: aiokafka takes the answer for that of an older version, and reads one right.
            (answer,) = await admin.describe_consumer_groups([group])
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(_PAUSE_SECONDS)  # a new broker makes its topic of groups when it is asked
            continue
        ((_, _, _, _, _, members, *_),) = answer.groups
        return len(members)
    raise ConfigError(f"the broker does not say whether group {group} has members: try again")


async def still(settings: Settings) -> bool:
    """Whether no worker runs and none has a record to go."""
    return not await members(settings.kafka) and not await lagging(settings)


async def check_still(settings: Settings) -> None:
    """Raise ConfigError unless no worker runs and none has a record to go."""
    if running := await members(settings.kafka):
        raise ConfigError(f"workers of {', '.join(sorted(running))} are running: stop the workers first")
    if left := await lagging(settings):
        raise ConfigError(
            f"{', '.join(sorted(left))} have records to go: stop the ingest workers, let the others reach "
            "lag 0, stop them, then swap"
        )
