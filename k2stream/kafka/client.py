"""The connection options of every Kafka client, and the error for an offset that does not exist."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import OffsetOutOfRangeError

from k2stream.model.errors import Expired
from k2stream.settings import KafkaSettings


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security_protocol,
    }
    if "SSL" in settings.security_protocol:
        options["ssl_context"] = ssl.create_default_context()
    if settings.sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    return options


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
