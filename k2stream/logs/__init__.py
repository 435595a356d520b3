"""Log records: one JSON object a line, or readable lines on a terminal; every standard logger writes so."""

from typing import Any, Literal, Protocol

LogFormat = Literal["auto", "json", "plain"]
"""auto: plain on a terminal, JSON everywhere else."""


class Partition(Protocol):
    """A partition of a topic, however a library calls it."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...


def place(at: Partition, offset: object = None, **fields: object) -> dict[str, Any]:
    """The `extra` of a message about a partition, or one record of it; `fields` are others it concerns."""
    found = {"topic": at.topic, "partition": at.partition, **fields}
    return found if offset is None else {**found, "offset": offset}
