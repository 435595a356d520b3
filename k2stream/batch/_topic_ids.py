"""Requests the ids of a cluster and its topics (KIP-516), which aiokafka's own requests do not include."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import Client

_BYTES = 16
_NONE = bytes(_BYTES)


class _Uuid:
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(_BYTES)


_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class _Response(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _RequestV12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        _TAGS,
    )


class _Request(Request[_RequestV12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_RequestV12]) -> _RequestV12:
        return request_struct_class([(_NONE, name, {}) for name in self._topics], False, False, {})


async def ids(client: Client, topics: Iterable[str]) -> tuple[str, dict[str, str | None]]:
    """Return the cluster's id and the topics' ids in hexadecimal.

    An id is empty if the broker has none or does not answer, and None if the topic does not exist.
    """
    node = client.get_random_node()
    if node is None:
        return "", {}
    try:
        answer = await client.send(node, _Request(sorted(set(topics))))
    except (KafkaError, IncompatibleBrokerVersion, NotImplementedError):
        return "", {}
    return answer.cluster_id or "", {
        name: None if code else topic_id.hex() if topic_id != _NONE else ""
        for code, name, topic_id, *_ in answer.topics
        if code in (0, UnknownTopicOrPartitionError.errno)
    }
