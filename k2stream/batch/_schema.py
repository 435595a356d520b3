"""The schema that selects batch delivery for a topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from faust.serializers.schemas import Schema
from faust.types import AppT, EventT, Message

from k2stream.batch._records import RecordBatch


class BatchSchema(Schema[Any, Any]):
    """Deliver a topic as ``RecordBatch`` values: ``app.topic("trades", schema=BatchSchema())``.

    ``max_unacked`` limits the topic's records that are delivered to this worker and not acknowledged. At the
    limit the topic's partitions are paused, while heartbeats continue. At most one fetch exceeds it. A sink
    that acknowledges many batches at once needs a limit well above the number of records that it buffers.

    ``empty`` also delivers batches without records, for an agent that accounts for every offset: transaction
    markers take offsets too.
    """

    def __init__(self, *, max_unacked: int = 200_000, empty: bool = False) -> None:
        if max_unacked < 1:
            raise ValueError(f"BatchSchema: max_unacked is {max_unacked}, must be at least 1")
        super().__init__(key_serializer="raw", value_serializer="raw", allow_empty=True)
        self.max_unacked = max_unacked
        self.empty = empty

    def compile(self, app: AppT, **_: object) -> Callable[..., Awaitable[EventT[RecordBatch]]]:
        """Return Faust's decode function, which passes on the batch that the consumer has built."""

        async def decode(message: Message, *, propagate: bool = False) -> EventT[RecordBatch]:
            return app.create_event(None, message.value, None, message)

        return decode
