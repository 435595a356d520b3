"""Decides, in one place, whether records are bad or the environment is broken.

A single bad record becomes a dead letter, and its reader continues. A fault that would affect every record (a
registry that does not answer, a foreign schema under an expected id, a whole batch that fails for one cause)
stops the worker without acknowledging anything: the records are good, and are read after the repair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from k2stream.avro import renumbered
from k2stream.batch import RecordBatch
from k2stream.model.errors import UNREADABLE, ConfigError, UnknownSchema, Unreadable

BROKEN_FROM = 100
"""Size from which a batch that is entirely unreadable for one cause indicates a broken environment."""

_VALUES = re.compile(r"'[^']*'|b?\"[^\"]*\"|\d+")

Columns = TypeVar("Columns")


class Broken(ConfigError):
    """The environment is broken; the message names the cause and the records that show it."""


_BAD = (*UNREADABLE, OverflowError, UnknownSchema)


def read(
    batch: RecordBatch, decode: Callable[[RecordBatch], Columns]
) -> tuple[RecordBatch, Columns, dict[int, str]]:
    """Decode a batch: the readable records, their decoded columns, and the cause for each other row.

    `decode` raises ValueError, OverflowError or UnknownSchema for unreadable records, or Unreadable with the
    cause for each row, or for some of them; it must accept an empty batch. Raises Broken and StateRefused as
    `check` does, and RegistryUnavailable.
    """
    rest, rows = batch, list(range(len(batch)))
    causes: dict[int, str] = {}
    while True:  # a reader may name only the rows of its first check that fails: others show without these
        try:
            decoded = decode(rest)
            break
        except _BAD as error:
            found = _causes(rest, decode, error, 0)
            if not found:
                raise  # no record alone is bad
        causes |= {rows[row]: cause for row, cause in found.items()}
        rows = [row for row in rows if row not in causes]
        rest = batch.take(rows)
    if causes:
        check(batch, causes)
    return rest, decoded, causes


def check(batch: RecordBatch, causes: Mapping[int, str]) -> None:
    """Raise Broken when a large batch is entirely unreadable for one cause.

    Raises StateRefused when the registry assigns the records' schema ids to other schemas.
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
    """The cause for each unreadable row, found by bisection."""
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
