"""The schema registry: registers our schemas at start, and looks up writers' schemas by id."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from math import inf
from typing import Any

import httpx
from schema_registry.client import SchemaRegistryClient
from schema_registry.client.errors import ClientError

from k2stream.avro import wire
from k2stream.model.errors import ConfigError, RegistryUnavailable, UnknownSchema
from k2stream.settings import KafkaSettings, RegistryAddress

logger = logging.getLogger(__name__)

COMPATIBILITY = "BACKWARD"
FIRST_RETRY_SECONDS = 0.25
LAST_RETRY_SECONDS = 5.0
REQUEST_SECONDS = 5.0
LOOK_UP_SECONDS = 1.5  # a look-up blocks the event loop, so this stays well below Kafka's session timeout
LOOK_UP_ATTEMPTS = 2
UNKNOWN_SECONDS = 10.0  # after which an id that the registry did not have is looked up again

_REFUSALS = {409, 422}  # Confluent's API: incompatible, invalid
_DENIED = {401, 403}
_UNREACHABLE = (httpx.TransportError, json.JSONDecodeError)  # no response, or not the registry's

_registered: dict[int, str] = {}  # name of each schema that this process registered, by id
_writers: dict[int, Any] = {}
_layouts: dict[int, str] = {}
_unknown: dict[int, float] = {}


_process = {"registry": KafkaSettings().registry}


def use(address: RegistryAddress) -> None:
    """Set the registry that this process uses by default."""
    _process["registry"] = address


async def register(topic: str, name: str, address: RegistryAddress | None = None) -> int:
    """Register schemas/avro/<name>.avsc as the value schema of a topic, with BACKWARD compatibility.

    Returns the schema's id. Retries with backoff for as long as the registry is unreachable or fails.
    Raises ConfigError when the registry refuses the schema.
    """
    client = _client(address or _process["registry"])
    delay = FIRST_RETRY_SECONDS
    while True:
        try:
            return await asyncio.to_thread(_register, client, f"{topic}-value", name)
        except (*_UNREACHABLE, ClientError) as error:
            if isinstance(error, ClientError) and error.http_code in _DENIED:
                raise ConfigError(
                    f"schema registry {client.conf['url']} refuses this login ({_text(error)}): correct "
                    "K2_REGISTRY_USERNAME and K2_REGISTRY_PASSWORD, or what the user is granted"
                ) from None
            logger.warning(
                "schema registry %s: %s; trying again in %.1f s", client.conf["url"], _text(error), delay
            )
        await asyncio.sleep(delay)
        delay = min(2 * delay, LAST_RETRY_SECONDS)


def _register(client: SchemaRegistryClient, subject: str, name: str) -> int:
    schema = wire.declared(name)
    try:
        schema_id = int(client.register(subject, schema, timeout=REQUEST_SECONDS))
        client.update_compatibility(COMPATIBILITY, subject, timeout=REQUEST_SECONDS)
    except ClientError as error:
        # Concurrent registration by several workers can be refused too; then the schema exists by now.
        if error.http_code not in _REFUSALS or client.check_version(subject, schema, timeout=REQUEST_SECONDS):
            raise
        raise ConfigError(
            f"schema registry refused schemas/avro/{name}.avsc for subject {subject} ({_text(error)}): "
            f"it must stay {COMPATIBILITY} compatible; give new fields a default, or use a new topic"
        ) from None
    learn(schema_id, schema)
    _registered[schema_id] = name
    return schema_id


def moved(address: RegistryAddress | None = None) -> tuple[str, int] | None:
    """Return name and id of a schema of this process that the registry no longer has under that id.

    Returns None when there is no such schema, or the registry does not respond.
    """
    for schema_id, name in _registered.items():
        client = _client(address or _process["registry"])
        try:
            found = _retried(lambda: client.get_by_id(schema_id, timeout=LOOK_UP_SECONDS), schema_id, client)  # noqa: B023
        except RegistryUnavailable:
            return None
        if found is None or wire.layout(found.raw_schema) != wire.layout(wire.declared(name)):
            return name, schema_id
    return None


def learn(schema_id: int, schema: Any) -> None:
    """Cache a writer's schema."""
    _layouts[schema_id] = wire.layout(schema)
    _writers[schema_id] = wire.plain(schema)


def layout(schema_id: int) -> str:
    """Return `wire.layout` of a schema id. Raises the same errors as `writer_schema`."""
    if schema_id not in _layouts:
        writer_schema(schema_id)
    return _layouts[schema_id]


def writer_schema(schema_id: int, address: RegistryAddress | None = None) -> Any:
    """Return the schema of an id, in the form of `wire.plain`.

    Asks the registry on the first use of an id only, and blocks the caller meanwhile.
    Raises UnknownSchema when the registry has no such id, RegistryUnavailable when it does not respond.
    """
    if schema_id not in _writers:
        client = _client(address or _process["registry"])
        if time.monotonic() - _unknown.get(schema_id, -inf) < UNKNOWN_SECONDS:
            raise UnknownSchema(_no_schema(schema_id, client))
        schema = _retried(lambda: client.get_by_id(schema_id, timeout=LOOK_UP_SECONDS), schema_id, client)
        if schema is None:
            _unknown[schema_id] = time.monotonic()
            raise UnknownSchema(_no_schema(schema_id, client))
        learn(schema_id, schema.raw_schema)
    return _writers[schema_id]


def is_named(schema_id: int, name: str) -> bool:
    """Whether an id is known to belong to a version of schemas/avro/<name>.avsc."""
    known = _writers.get(schema_id)
    return isinstance(known, dict) and known.get("name") == wire.declared_plain(name)["name"]


def look_up(values: Iterable[bytes | None], address: RegistryAddress) -> None:
    """Cache the writers' schemas of records from the registry at `address`, so that decoding uses that one.

    Raises RegistryUnavailable when the registry does not respond.
    """
    for value in values:
        with suppress(ValueError, UnknownSchema):  # decoding reports these errors per record
            writer_schema(wire.schema_id(value), address)


def _no_schema(schema_id: int, client: SchemaRegistryClient) -> str:
    return f"schema registry {client.conf['url']} has no schema {schema_id}"


def _retried(ask: Callable[[], Any], schema_id: int, client: SchemaRegistryClient) -> Any:
    for attempt in range(1, LOOK_UP_ATTEMPTS + 1):
        try:
            return ask()
        except (*_UNREACHABLE, ClientError) as error:
            if attempt == LOOK_UP_ATTEMPTS:
                raise RegistryUnavailable(
                    f"schema {schema_id} cannot be read from registry {client.conf['url']} ({_text(error)}): "
                    "start it, or correct K2_REGISTRY_URL"
                ) from None
    raise AssertionError("unreachable")


@cache
def _client(address: RegistryAddress) -> SchemaRegistryClient:
    client = SchemaRegistryClient(address.url)
    # It opens one connection per request, with these arguments of httpx.
    client.client_kwargs |= address.connection
    return client


def _text(error: Exception) -> str:
    """Format an error as one line, with the registry's message."""
    said = error.server_traceback if isinstance(error, ClientError) else None
    reason = said.get("message", said) if isinstance(said, dict) else said
    return " ".join(f"{error or type(error).__name__}{f': {reason}' if reason else ''}".split())[:300]
