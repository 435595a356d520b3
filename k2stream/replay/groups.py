"""The consumer groups of the workers: whether they are stopped, and how far they are."""

from __future__ import annotations

from k2stream.kafka.groups import SOURCES, members
from k2stream.kafka.lag import LagReader
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.settings import Settings


async def lagging(settings: Settings) -> set[str]:
    """The groups with uncommitted records, of the roles whose results a replay makes again."""
    async with LagReader(settings) as lags:
        found = await lags.lag(set(SOURCES) - {Role.CERTIFY.group})
    return {group for group, topics in found.items() if any(topics.values())}


async def still(settings: Settings) -> bool:
    """Whether no worker is running and no group has uncommitted records."""
    return not await members(settings.kafka) and not await lagging(settings)


async def check_still(settings: Settings) -> None:
    """Raise ConfigError unless no worker is running and no group has uncommitted records."""
    if running := await members(settings.kafka):
        raise ConfigError(f"workers of {', '.join(sorted(running))} are running: stop the workers first")
    if left := await lagging(settings):
        raise ConfigError(
            f"{', '.join(sorted(left))} have records to go: stop the ingest workers, let the others reach "
            "lag 0, stop them, then swap"
        )
