"""Loads the dead letters, and the records that the oracle cannot read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from k2stream import topics
from k2stream.reconcile.oracle.engine import OracleEngine
from k2stream.reconcile.oracle.parquet import ParquetWriter
from k2stream.reconcile.oracle.raw_log import Bounds, read_to_end
from k2stream.settings import KafkaSettings

_SCHEMA = pa.schema(
    [("topic", pa.string()), ("partition", pa.int64()), ("offset", pa.int64()), ("body", pa.binary())]
)
_LETTERS = pa.schema(
    [
        *(("exchange", pa.string()), ("stage", pa.string()), ("topic", pa.string())),
        *(("partition", pa.int64()), ("offset", pa.int64()), ("original", pa.binary())),
    ]
)


class UnreadableRecords:
    """Positions and values of unreadable records, collected while topics are read."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, int, int, bytes]] = []

    def add(self, topic: str, partition: int, offset: int, value: bytes | None) -> None:
        """Add a record."""
        self._rows.append((topic, partition, offset, value or b""))

    def table(self, engine: OracleEngine, path: Path) -> None:
        """Create the table `unreadable`."""
        with ParquetWriter(path, _SCHEMA) as writer:
            writer.rows(self._rows)
        engine.load("unreadable", path)


async def letters(
    settings: KafkaSettings, engine: OracleEngine, bounds: Bounds, path: Path, bad: UnreadableRecords
) -> None:
    """Create the table `letters` from the dead-letter topic."""
    with ParquetWriter(path, _LETTERS) as writer:
        async for partition, records in read_to_end(settings, topics.DLQ, bounds):
            writer.rows(_letters(partition, records, bad))
    engine.load("letters", path)


def lettered(engine: OracleEngine, topic: str, partition: int) -> NDArray[np.int64]:
    """The offsets of a topic partition that have dead letters."""
    rows = engine.rows(f"SELECT offset FROM letters WHERE topic = '{topic}' AND partition = {partition}")
    return np.array([offset for (offset,) in rows], np.int64)


def _letters(partition: int, records: Any, bad: UnreadableRecords) -> Iterator[tuple[Any, ...]]:
    for record in records:
        try:
            yield _letter(json.loads(record.value))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            bad.add(topics.DLQ, partition, record.offset, record.value)


def _letter(letter: Any) -> tuple[Any, ...]:
    """A dead letter in the columns of _LETTERS. Raises ValueError, … for any other JSON."""
    names = letter["exchange"], letter["stage"], letter.get("topic", "")
    place = letter.get("partition", -1), letter.get("offset", -1)
    "".join(names).encode()  # raises where one is no text
    if not all(type(number) is int and -(2**63) <= number < 2**63 for number in place):
        raise ValueError("no place of a record")
    return *names, *place, base64.b64decode(letter["original"], validate=True)
