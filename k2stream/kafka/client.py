"""Starting a Kafka client, and the error for an offset that does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from k2stream.model.errors import Expired

FAILED = (KafkaError, OSError)
"""What a client raises for a broker that does not answer, or not in time."""


async def start(consumer: AIOKafkaConsumer) -> None:
    """Start a consumer; one that cannot start is stopped, so that nothing of it is left open."""
    try:
        await consumer.start()
    except BaseException:
        await consumer.stop()
        raise


@contextmanager
def all_there(what: str) -> Iterator[None]:
    """Wrap reads of a client with `auto_offset_reset="none"`: raises Expired for an offset that is missing.

    With any other setting the client continues elsewhere silently, and an expired range looks like an empty
    one.
    """
    try:
        yield
    except OffsetOutOfRangeError as error:
        lost = ", ".join(f"{tp.topic}[{tp.partition}] has no offset {at}" for tp, at in error.args[0].items())
        raise Expired(
            f"{what}: {lost} (any more): it expired while it was read, or the topic was recreated; try again"
        ) from None
