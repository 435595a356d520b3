"""Finds the worker that owns a partition, and forwards requests to it."""

from __future__ import annotations

from typing import Any

import aiohttp
import faust
from yarl import URL

from k2stream.batch import BatchTable
from k2stream.web.query import RequestError

FORWARDED = "X-K2-Forwarded"
MISSING = "X-K2-Missing"
"""Response header with the tiers that could not be read, also for formats whose body cannot list them."""

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0  # the cold tier, with old candles, is slow


def owner(app: faust.App, table: BatchTable, partition: int) -> URL:
    """Base URL of the worker that owns a table partition; raises RequestError 503 while no worker does."""
    topic = table.changelog_topic.get_topic_name()
    for url, parts in app.router.table_metadata(table.name).items():
        if partition in parts.get(topic, ()):
            return URL(url)
    raise RequestError(503, f"no worker has partition {partition} now, ask again")


async def forward(app: faust.App, request: Any, url: URL) -> tuple[int, bytes, str]:
    """Forward a request to the worker at `url`; returns status, body and the tiers missing in the body.

    Raises RequestError 503 if the request was forwarded already (the partition is moving), and 502 if the
    worker cannot be reached.
    """
    if FORWARDED in request.headers or url == app.conf.canonical_url:
        raise RequestError(503, "the partition is moving to another worker, ask again")
    target = request.url.with_scheme(url.scheme or "http").with_host(url.host).with_port(url.port)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS)
    client: Any = app.http_client
    try:
        async with client.get(target, headers={FORWARDED: "1"}, timeout=timeout) as response:
            return response.status, await response.read(), response.headers.get(MISSING, "")
    except (TimeoutError, aiohttp.ClientError) as error:
        raise RequestError(502, f"the worker at {url} does not answer: {type(error).__name__}") from None
