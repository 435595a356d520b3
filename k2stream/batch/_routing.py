"""Finds the worker that owns a partition of a table, and asks it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from yarl import URL

from k2stream.batch._table import BatchTable
from k2stream.model.errors import RequestError

if TYPE_CHECKING:
    from k2stream.batch._app import BatchApp

FORWARDED = "X-K2-Forwarded"
"""Header of a request that one worker makes of another, which must answer it itself or refuse."""

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0


class WorkerAnswer(NamedTuple):
    """What another worker answered, whatever its status."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def is_ready(app: BatchApp) -> bool:
    """Whether the worker has its partitions assigned and its tables recovered."""
    if not app.started or app.rebalancing:
        return False
    return not len(app.tables) or app.tables.recovery.completed.is_set()


def owner(app: BatchApp, table: BatchTable, partition: int) -> URL:
    """Base URL of the worker that owns a table partition; raises RequestError 503 while no worker does."""
    topic = table.changelog_topic_name
    for url, parts in app.router.table_metadata(table.name).items():
        if partition in parts.get(topic, ()):
            return URL(url)
    raise RequestError(503, f"no worker has partition {partition} now, ask again")


async def ask(app: BatchApp, target: URL, seconds: float = ANSWER_SECONDS) -> WorkerAnswer:
    """Ask another worker for a page, as a forwarded request.

    Raises RequestError 502 when it gives no answer within `seconds`.
    """
    timeout = aiohttp.ClientTimeout(total=seconds, connect=min(CONNECT_SECONDS, seconds))
    client: Any = app.http_client
    try:
        async with client.get(target, headers={FORWARDED: "1"}, timeout=timeout) as response:
            return WorkerAnswer(response.status, await response.read(), response.headers)
    except (TimeoutError, aiohttp.ClientError) as error:
        raise RequestError(
            502, f"the worker at {target.origin()} does not answer: {type(error).__name__}, ask again"
        ) from None


async def forward(app: BatchApp, request: Any, worker: URL, seconds: float = ANSWER_SECONDS) -> WorkerAnswer:
    """Make the same request of the worker at a base URL.

    Raises RequestError 503 if the request was forwarded already, or the worker is this one: the partition is
    moving. Raises 502 as `ask` does.
    """
    if FORWARDED in request.headers or worker == app.conf.canonical_url:
        raise moving()
    return await ask(app, at(worker, request.url), seconds)


def at(worker: URL, page: URL) -> URL:
    """The same page of the worker at a base URL."""
    return page.with_scheme(worker.scheme or "http").with_host(worker.host or "").with_port(worker.port)


def moving() -> RequestError:
    """The refusal of a request for a partition that this worker is believed to own, and does not."""
    return RequestError(503, "the partition is moving to another worker, ask again")
