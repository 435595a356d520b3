"""The mark that makes a topic batch delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from faust.serializers.schemas import Schema
from faust.types import AppT, EventT, Message

from k2stream.batch._records import RecordBatch


class BatchSchema(Schema[Any, Any]):
    """Deliver a topic as ``RecordBatch`` values: ``app.topic("trades", schema=BatchSchema())``.

    ``max_unacked`` bounds the records of the topic that this worker was given and has not acknowledged: at
    the bound the topic's partitions pause while heartbeats go on. It is exceeded by at most one fetch. A sink
    that acknowledges many batches at once needs a bound well above the records it holds.

    ``empty`` also delivers batches without records, for an agent that keeps account of each offset itself:
    the markers of transactions take offsets.
    """

    def __init__(self, *, max_unacked: int = 200_000, empty: bool = False) -> None:
        if max_unacked < 1:
            raise ValueError(f"BatchSchema: max_unacked is {max_unacked}, must be at least 1")
        super().__init__(key_serializer="raw", value_serializer="raw", allow_empty=True)
        self.max_unacked = max_unacked
        self.empty = empty

    def compile(self, app: AppT, **_: object) -> Callable[..., Awaitable[EventT[RecordBatch]]]:
        """Return Faust's decode function: the consumer has built the batch already."""

        async def decode(message: Message, *, propagate: bool = False) -> EventT[RecordBatch]:
            return app.create_event(None, message.value, None, message)

        return decode
