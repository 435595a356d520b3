"""Asks a worker over HTTP on behalf of a command: refusals are one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from k2stream.model.errors import ConfigError

ANSWER_SECONDS = 30.0

Parameters = Mapping[str, int | str]


def get(client: httpx.Client, path: str, parameters: Parameters) -> Any:
    """The JSON of a path. Raises ConfigError when there is no answer, or a refusal."""
    with answering(client):
        answer = client.get(path, params=dict(parameters))
    return checked(answer).json()


@contextmanager
def answering(client: httpx.Client) -> Iterator[None]:
    """Raises ConfigError when there is no answer."""
    try:
        yield
    except httpx.TransportError as error:
        raise ConfigError(
            f"no answer from {client.base_url}: {error}; start a candles worker, or correct --url"
        ) from None


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer. Raises ConfigError for a refusal."""
    if answer.is_error:
        raise ConfigError(f"{answer.url} answered {answer.status_code}: {answer.read().decode()}")
    return answer
