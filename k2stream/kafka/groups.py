"""The platform's consumer groups: their names, what they read, their members and committed offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

from k2stream import topics
from k2stream.batch import TP
from k2stream.kafka.admin import ATTEMPTS, AWAY, PAUSE_SECONDS, Admin, connected
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import ConfigError
from k2stream.model.roles import Role
from k2stream.settings import KafkaSettings

_RAW = tuple(map(topics.raw, topics.EXCHANGES))
_CANDLES = tuple(map(topics.ohlcv, TIMEFRAMES))
_ALL_LAYERS = (*_RAW, topics.NORMALIZED, *_CANDLES)

SOURCES: Mapping[str, tuple[str, ...]] = {
    Role.NORMALIZE.group: _RAW,
    Role.CANDLES.group: (topics.NORMALIZED,),
    Role.HOT.group: (*_ALL_LAYERS, topics.CERTIFICATES, topics.KLINE_CHECKS),
    Role.COLD.group: _ALL_LAYERS,
    Role.CERTIFY.group: (topics.NORMALIZED, *_CANDLES),
}
"""The topics that each consumer group reads."""

GROUPS = tuple(SOURCES)
"""The consumer groups of the roles that read topics."""

_NOT_YET = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, GroupLoadInProgressError)
"""Errors of a broker that has just started, or that is still creating its topic of group offsets."""


class Committed(NamedTuple):
    """A group's committed state of a partition: the next offset to read, and the metadata."""

    offset: int
    metadata: str


def gap_fill_group(exchange: str) -> str:
    """The consumer group of an exchange's gap filler; events below its committed offset are handled."""
    return f"k2-gap-fill-{exchange}"


async def offsets(admin: Admin, group: str) -> dict[TP, Committed]:
    """A group's committed offsets. Raises ConfigError when its coordinator does not answer for 10 s."""
    found: Mapping[Any, Any] = await _answer(
        admin,
        partial(admin.list_consumer_group_offsets, group),
        f"the broker does not report what group {group} has read: try again",
    )
    return {
        TP(*tp): Committed(given.offset, given.metadata) for tp, given in found.items() if given.offset >= 0
    }


async def committed(settings: KafkaSettings, group: str) -> dict[TP, Committed]:
    """As `offsets`, through a temporary client."""
    async with connected(settings) as admin:
        return await offsets(admin, group)


async def members(settings: KafkaSettings) -> set[str]:
    """The groups of roles that have at least one member."""
    async with connected(settings) as admin:
        return {group for group in SOURCES if await _members(admin, group)}


async def _members(admin: Admin, group: str) -> int:
    # One group per request: aiokafka parses the answer as an older version, which is right for one only.
    (answer,) = await _answer(
        admin,
        partial(admin.describe_consumer_groups, [group]),
        f"the broker does not report whether group {group} has members: try again",
    )
    ((_, _, _, _, _, members, *_),) = answer.groups
    return len(members)


async def _answer(admin: Admin, ask: Callable[[], Awaitable[Any]], without: str) -> Any:
    """The answer of a group's coordinator. Raises ConfigError with the text `without` one for 10 s.

    A coordinator that has died is asked again only where another broker can take its place.
    """
    for _ in range(ATTEMPTS):
        try:
            return await ask()
        except _NOT_YET:
            pass
        except AWAY:
            if not admin.several:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
    raise ConfigError(without)
