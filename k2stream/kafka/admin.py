"""Administration of a broker, through a client that is closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings


@asynccontextmanager
async def connected(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client. Raises ConfigError when the broker cannot be reached."""
    admin = AIOKafkaAdminClient(**settings.connection)
    try:
        try:
            await admin.start()
        except KafkaConnectionError:
            raise ConfigError(
                f"no Kafka broker at {settings.bootstrap}{_login(settings)}; start one with `k2 up` or set "
                "K2_KAFKA_BOOTSTRAP"
            ) from None
        yield admin
    finally:
        await admin.close()


def _login(settings: KafkaSettings) -> str:
    """What a broker has to accept besides a connection, in words."""
    if not (settings.encrypted or settings.authenticated):
        return ""
    user = f" from {settings.sasl_username} with this password" if settings.authenticated else ""
    return f" that accepts {settings.security_protocol}{user}, and whose certificate is trusted"
