"""Administration of the brokers, through a client that is closed afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)

from k2stream.batch import check_answer
from k2stream.model.errors import NoServer
from k2stream.settings import KafkaSettings

AWAY = (NodeNotReadyError, KafkaConnectionError, RequestTimedOutError)
"""Errors of a broker that does not answer; of several, others list it for seconds after it has died."""

ATTEMPTS, PAUSE_SECONDS = 50, 0.2


class Admin(AIOKafkaAdminClient):  # type: ignore[misc]
    """Raises the errors that aiokafka leaves in answers, and passes over a broker that is away."""

    @property
    def several(self) -> bool:
        """Whether there is more than one broker."""
        return len(self._client.cluster.brokers()) > 1

    async def create_topics(
        self, new_topics: Sequence[NewTopic], timeout_ms: int | None = None, validate_only: bool = False
    ) -> Any:
        """Raises KafkaError for a topic that was not made: TopicAlreadyExistsError if all of them exist."""
        answer = await super().create_topics(list(new_topics), timeout_ms, validate_only)
        errors = [
            for_code(code)(f"{topic}: {', '.join(map(str, said))}")
            for topic, code, *said in answer.topic_errors
            if code
        ]
        errors.sort(key=lambda error: isinstance(error, TopicAlreadyExistsError))
        if errors:
            raise errors[0]
        return answer

    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        nodes = [broker.nodeId for broker in self._client.cluster.brokers()] if node_id is None else [node_id]
        random.shuffle(nodes)
        for left in range(len(nodes) - 1, -1, -1):
            try:
                answer = await self._client.send(nodes[left], request)
                break
            except AWAY:
                if not left:
                    raise
        check_answer(answer)
        return answer

    async def _send_to_controller(self, request: Any) -> Any:
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                if (controller := self._client.cluster.controller) is None:
                    raise NodeNotReadyError("the brokers have no controller at present")
                return await self._client.send(controller.nodeId, request)
            except AWAY:
                if not (left and self.several):
                    raise
            await self._client.force_metadata_update()
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def connected(settings: KafkaSettings) -> AsyncIterator[Admin]:
    """An admin client. Raises ConfigError when the broker cannot be reached."""
    admin = Admin(**settings.connection)
    try:
        try:
            await admin.start()
        except KafkaConnectionError:
            raise NoServer(
                f"no Kafka broker at {settings.bootstrap}{_login(settings)}; start one with `k2 up` or set "
                "K2_KAFKA_BOOTSTRAP",
                settings.bootstrap,
                "K2_KAFKA_BOOTSTRAP",
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
