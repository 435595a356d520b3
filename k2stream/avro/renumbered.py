"""Detects records that are unreadable because the schema registry has reassigned its ids.

A registry that lost its data assigns ids in the order in which workers happen to register. Older records
then carry the id of a different schema. They are valid, and must not become dead letters.
"""

from __future__ import annotations

from collections.abc import Iterable

from k2stream import topics
from k2stream.avro import registry, wire
from k2stream.batch import RecordBatch
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.errors import StateRefused

SCHEMAS = {
    topics.NORMALIZED: "trade",
    topics.LATE: "trade",
    **dict.fromkeys(map(topics.ohlcv, TIMEFRAMES), "candle"),
}
"""The schema in schemas/avro of each Avro topic's values."""


def check(batch: RecordBatch, unreadable: Iterable[int]) -> None:
    """Raise StateRefused when the `unreadable` rows of a batch are due to a registry with changed ids."""
    name = SCHEMAS.get(batch.tp.topic)
    if name is None:
        return
    for row in unreadable:
        if is_ours(value := batch.values[row], name):
            raise StateRefused(
                f"{batch.tp.topic}[{batch.tp.partition}], offset {int(batch.offsets[row])}: a {name} "
                f"under id {wire.schema_id(value)}, which in the registry is another schema's, or none's: "
                "it was recreated; restore its data, or let `k2 mend candles --rebuild` go on at the end"
            )
    if moved := registry.moved():
        raise StateRefused(
            f"the registry no longer has schema {moved[0]} under id {moved[1]}: it was recreated; "
            "restore its data, or start all workers again"
        )


def is_ours(value: bytes | None, name: str) -> bool:
    """Whether a record is a valid schemas/avro/<name>.avsc record that carries the id of another schema."""
    try:
        if registry.is_named(wire.schema_id(value), name):
            return False
        wire.read(value or b"", wire.declared_plain(name), name)
    except (ValueError, OverflowError, MemoryError):
        return False
    return True
