"""A bad record or a broken environment: the one place that decides.

What one record is, is a dead letter of whoever reads it, who goes on. What all records would be (a registry
that does not answer, a schema that is not ours under our id, a whole delivery that fails for one cause) stops
the worker with nothing acknowledged: the records are good, and are read once the environment is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from k2stream.avro import renumbered
from k2stream.batch import RecordBatch
from k2stream.model.errors import ConfigError, UnknownSchema, Unreadable

BROKEN_FROM = 100
"""So many records of one delivery, all unreadable for one cause, are no coincidence."""

_VALUES = re.compile(r"'[^']*'|b?\"[^\"]*\"|\d+")

Columns = TypeVar("Columns")


class Broken(ConfigError):
    """The environment does not fit: what is wrong, with the records that show it."""


_BAD = (ValueError, OverflowError, UnknownSchema)


def read(
    batch: RecordBatch, decode: Callable[[RecordBatch], Columns]
) -> tuple[RecordBatch, Columns, dict[int, str]]:
    """The readable records, what `decode` makes of them, and the cause for each other row.

    `decode` raises ValueError for records that cannot be read, of which `Unreadable` names the rows; it must
    take a batch without records. Raises Broken, and LookupError when the registry does not answer.
    """
    try:
        return batch, decode(batch), {}
    except _BAD as error:
        causes = _causes(batch, decode, error, 0)
    check(batch, causes)
    good = [row for row in range(len(batch)) if row not in causes]
    rest = batch.take(good)
    return rest, decode(rest), causes


def check(batch: RecordBatch, causes: Mapping[int, str]) -> None:
    """Raise Broken when all of a large delivery is unreadable for one cause.

    Raises StateRefused when the registry gives the records' ids to other schemas.
    """
    renumbered.check(batch, causes)
    alike = {_VALUES.sub("…", cause) for cause in causes.values()}
    if len(batch) >= BROKEN_FROM and len(causes) == len(batch) and len(alike) == 1:
        where = f"{batch.tp.topic}[{batch.tp.partition}]"
        raise Broken(
            f"none of the {len(batch)} records at offsets {batch.first_offset} to {batch.last_offset} of "
            f"{where} can be read ({next(iter(causes.values()))}): nothing is acknowledged. Point "
            "K2_REGISTRY_URL and the topic's writer at what belongs to this platform; if the records are "
            "indeed worthless, delete them (kafka-delete-records) up to there"
        )


def _causes(
    batch: RecordBatch, decode: Callable[[RecordBatch], object], error: Exception, first: int
) -> dict[int, str]:
    """The cause for each row that cannot be read, by halves."""
    if isinstance(error, Unreadable):
        return {first + row: cause for row, cause in error.causes.items()}
    if len(batch) == 1:
        return {first: " ".join(str(error).split())[:200] or type(error).__name__}
    half = len(batch) // 2
    found: dict[int, str] = {}
    for start, end in ((0, half), (half, len(batch))):
        part = batch.take(list(range(start, end)))
        try:
            decode(part)
        except _BAD as reason:
            found |= _causes(part, decode, reason, first + start)
    return found
