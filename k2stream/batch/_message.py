"""Wraps a batch in a Faust message."""

from __future__ import annotations

from typing import Any

from faust.types import TP, ConsumerMessage

from k2stream.batch._records import RecordBatch

_CREATE_TIME = 0


def message_of(tp: TP, batch: RecordBatch, generation_id: int) -> ConsumerMessage:
    """Return a message with the batch as value and its last offset as offset."""
    value: Any = batch
    return ConsumerMessage(
        topic=tp.topic,
        partition=tp.partition,
        offset=batch.last_offset,
        timestamp=int(batch.timestamps[-1]) / 1000.0 if len(batch) else 0.0,
        timestamp_type=_CREATE_TIME,
        headers=None,
        key=None,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=tp,
        generation_id=generation_id,
    )
