"""The roles of workers, and the Kafka consumer group of each."""

from __future__ import annotations

from enum import StrEnum

_PREFIX = "k2-"


class Role(StrEnum):
    """What a worker process does."""

    INGEST = "ingest"
    NORMALIZE = "normalize"
    CANDLES = "candles"
    HOT = "hot"
    COLD = "cold"

    @property
    def group(self) -> str:
        """The consumer group, and the id of the Faust app; an ingest worker's id also names its exchange."""
        return f"{_PREFIX}{self}"


def role_of(group: str) -> str:
    """The role of a group; any other name as it is."""
    return group.removeprefix(_PREFIX)
