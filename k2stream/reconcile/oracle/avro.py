"""Decodes records in Confluent's wire format with fastavro, using the writer's schema of the registry."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlsplit

import fastavro
import httpx

from k2stream.model.errors import ConfigError
from k2stream.resources import SCHEMAS
from k2stream.settings import KafkaSettings

_MAGIC = b"\0"
_LOCAL = ("127.0.0.1", "localhost", "::1")


class Records:
    """Decodes values of one kind, `trade` or `candle`; logical types stay numbers and bytes."""

    def __init__(self, settings: KafkaSettings, kind: str) -> None:
        self._registry = settings.registry
        self._reader = _parsed((SCHEMAS / "avro" / f"{kind}.avsc").read_text())
        self._writers: dict[int, Any] = {}

    def read(self, value: bytes | None) -> dict[str, Any] | None:
        """The fields of a record; None when it is not a valid record of the kind."""
        if value is None or value[:1] != _MAGIC or len(value) < 6:
            return None
        writer = self._writer(int.from_bytes(value[1:5], "big"))
        if writer is None:
            return None
        body = io.BytesIO(value[5:])
        try:
            found: Any = fastavro.schemaless_reader(body, writer, self._reader)
        except Exception:  # for arbitrary bytes, fastavro raises any exception
            return None
        return found if body.tell() == len(value) - 5 else None

    def _writer(self, number: int) -> Any:
        if number not in self._writers:
            self._writers[number] = self._fetched(number)
        return self._writers[number]

    def _fetched(self, number: int) -> Any:
        """The schema with an id; None when the registry has none. Raises ConfigError if it is unreachable."""
        url = self._registry.url
        away = urlsplit(url).hostname not in _LOCAL
        try:
            with httpx.Client(timeout=10, trust_env=away, **self._registry.connection) as client:
                answer = client.get(f"{url}/schemas/ids/{number}")
                if answer.status_code == 404:
                    return None
                answer.raise_for_status()
                return _parsed(answer.json()["schema"])
        except httpx.HTTPError as error:
            raise ConfigError(
                f"no schema registry at {url} ({error}); start one with `k2 up` or set K2_REGISTRY_URL"
            ) from None


def _parsed(text: str) -> Any:
    return fastavro.parse_schema(_plain(json.loads(text)))


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if name != "logicalType"}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def number(data: bytes) -> str:
    """The unscaled digits of a decimal, as text."""
    return str(int.from_bytes(data, "big", signed=True))
