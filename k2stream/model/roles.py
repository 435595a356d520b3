"""The roles of workers, and their Kafka consumer groups."""

from __future__ import annotations

from enum import StrEnum

_PREFIX = "k2-"


class Role(StrEnum):
    """The task of a worker process."""

    INGEST = "ingest"
    NORMALIZE = "normalize"
    CANDLES = "candles"
    HOT = "hot"
    COLD = "cold"
    CERTIFY = "certify"

    @property
    def group(self) -> str:
        """The consumer group and Faust app id; the app id of an ingest worker also names its exchange."""
        return f"{_PREFIX}{self}"


def role_of(group: str) -> str:
    """The role of a group; any other name is returned unchanged."""
    return group.removeprefix(_PREFIX)
