"""Requests for a partition of another worker are forwarded once."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from k2stream.batch import forward, is_ready, owner
from k2stream.batch._routing import FORWARDED
from k2stream.model.errors import RequestError

TOPIC = "k2-candles-ohlcv_1m-changelog"
TABLE: Any = SimpleNamespace(name="ohlcv_1m", changelog_topic_name=TOPIC)


def app_of(distribution=None, **extra):
    router = SimpleNamespace(table_metadata=lambda name: distribution or {})
    conf = SimpleNamespace(canonical_url=URL("http://127.0.0.1:6066"))
    return SimpleNamespace(router=router, conf=conf, **extra)


def request(headers=None):
    return SimpleNamespace(
        headers=headers or {}, url=URL("http://127.0.0.1:6066/ohlcv/kraken/BTC-USD/1m?limit=2")
    )


def test_the_owner_is_the_worker_with_the_partition():
    app = app_of({"http://a:1": {TOPIC: [0, 2]}, "http://b:2": {TOPIC: [1]}})
    assert owner(app, TABLE, 1) == URL("http://b:2")
    with pytest.raises(RequestError) as caught:
        owner(app, TABLE, 3)
    assert caught.value.status == 503


async def test_a_forwarded_request_is_not_forwarded_again():
    for headers, url in (({FORWARDED: "1"}, "http://b:2"), ({}, "http://127.0.0.1:6066")):
        with pytest.raises(RequestError) as caught:
            await forward(app_of(), request(headers), URL(url))
        assert caught.value.status == 503


async def test_the_answer_of_the_owner_is_passed_on():
    seen = []

    async def handler(received):
        seen.append((received.path_qs, received.headers.get(FORWARDED)))
        return web.json_response({"candles": []}, status=201, headers={"X-K2-Missing": "Iceberg"})

    server = web.Application()
    server.router.add_get("/{tail:.*}", handler)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as client:
        answer = await forward(app_of(http_client=client), request(), URL(f"http://{host}:{port}"))
        assert answer[:2] == (201, b'{"candles": []}')
        assert answer.headers["X-K2-Missing"] == "Iceberg"
        assert seen == [("/ohlcv/kraken/BTC-USD/1m?limit=2", "1")]
        await runner.cleanup()
        with pytest.raises(RequestError) as caught:
            await forward(app_of(http_client=client), request(), URL(f"http://{host}:{port}"))
        assert caught.value.status == 502
        assert str(port) in str(caught.value.body["error"])


def test_a_worker_is_ready_once_it_has_its_tables():
    completed = asyncio.Event()
    tables = type("Tables", (dict,), {"recovery": SimpleNamespace(completed=completed)})(t=1)
    app: Any = SimpleNamespace(started=True, rebalancing=False, tables=tables)
    assert not is_ready(app)
    completed.set()
    assert is_ready(app)
    for change in ({"started": False}, {"rebalancing": True}):
        changed: Any = SimpleNamespace(**(vars(app) | change))
        assert not is_ready(changed)
