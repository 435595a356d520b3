"""Which worker has a partition, and asking it."""

from __future__ import annotations

from typing import Any

import aiohttp
import faust
from yarl import URL

from k2stream.batch import BatchTable
from k2stream.web.query import RequestError

FORWARDED = "X-K2-Forwarded"
MISSING = "X-K2-Missing"
"""Header of an answer: the tiers that could not be asked, also where the body has no place for them."""

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0  # old candles come from the cold tier


def owner(app: faust.App, table: BatchTable, partition: int) -> URL:
    """The base URL of the worker that has a partition of a table; RequestError 503 while nobody has it."""
    topic = table.changelog_topic.get_topic_name()
    for url, held in app.router.table_metadata(table.name).items():
        if partition in held.get(topic, ()):
            return URL(url)
    raise RequestError(503, f"no worker has partition {partition} now, ask again")


async def forward(app: faust.App, request: Any, url: URL) -> tuple[int, bytes, str]:
    """Ask the worker at `url`; its status, its body, and the tiers missing in it.

    Raises RequestError: 503 when the request was forwarded already (the partition is moving), 502 when the
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
