"""Requests that are made up from the OpenAPI document, and bad ones of every kind: each gets what it says."""

import logging
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from k2stream import instruments
from k2stream.service.application import create
from k2stream.service.sources import Sources
from k2stream.service.trades import TradeHistory
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from tests.made_up_requests import CHECKS, described
from tests.unit.service.memory import InMemory, candle
from tests.unit.service.test_service_trades import NOW, Cold, Newest, Warm

PROBLEM = "application/problem+json"
LISTED = instruments.load(make().feeds.instruments_file)
FIRST = LISTED[0]


def application() -> Any:
    """Candles of one symbol and trades, all in memory."""
    stored, health = InMemory(), FeedHealth()
    health.ready = True
    for item in LISTED:
        stored.answers[item.key, "1m"] = [candle(item, "1m", 60_000 * at) for at in range(1, 30)]
    trades = [(NOW - at, 100 - at, 100 - at) for at in range(50)]
    pages = TradeHistory(Newest(trades), Warm(trades), lambda: Cold(trades), lambda: NOW)
    return create(Sources(make(), LISTED, stored, health, lambda: True, trades=pages))


def with_document(app: Any) -> Any:
    """The application, which also serves the document with the names."""
    content = msgspec.json.encode(described(LISTED))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]

    async def served(scope, receive, send):
        if scope["type"] == "http" and scope["path"] != "/described.json":
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content, "more_body": False})

    return served


SCHEMA = schemathesis.openapi.from_asgi("/described.json", with_document(application()))


@(
    SCHEMA.include(path_regex="^/(v1|health)")
    .exclude(path_regex="status|quality|agreement|late|certificate")
    .parametrize()
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_requests_made_up_from_the_document(case):
    case.call_and_validate(checks=CHECKS)


@pytest.fixture
async def asking():
    transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as made:
        yield made


CANDLES = f"/v1/ohlcv/{FIRST.exchange}/{FIRST.canonical.replace('/', '-')}/1m"
TRADES = f"/v1/trades/{FIRST.exchange}/{FIRST.canonical.replace('/', '-')}"


@pytest.mark.parametrize(
    "target",
    [
        "/v1/ohlcv/../../etc/passwd",
        "/v1/ohlcv/%2e%2e/%2e%2e/1m",
        f"/v1/ohlcv/{FIRST.exchange}/%00/1m",
        f"/v1/ohlcv/{FIRST.exchange}/{'A' * 4000}/1m",
        f"/v1/ohlcv/{FIRST.exchange}/💥/1m",
        f"/v1/ohlcv/{FIRST.exchange}/%ff%fe/1m",
        f"//v1//ohlcv//{FIRST.exchange}",
        "/docs/assets/%2e%2e%2fdocument.py",
        "/docs/assets/..%5c..%5cdocument.py",
        f"{CANDLES}?limit=99999999999999999999",
        f"{CANDLES}?limit=-1",
        f"{CANDLES}?limit=",
        f"{CANDLES}?start=99999999999999999",
        f"{CANDLES}?start=-1",
        f"{CANDLES}?start=9999-12-31T23:59:59Z",
        f"{CANDLES}?start=0001-01-01",
        f"{CANDLES}?start=2026-01-01T00:00:00%2B99:99",
        f"{CANDLES}?end=%00",
        f"{CANDLES}?cursor=%ff",
        f"{CANDLES}?tz=../../etc/passwd",
        f"{CANDLES}?tz=%00",
        f"{CANDLES}?tz={'A' * 3000}",
        f"{CANDLES}?format=xml",
        f"{CANDLES}?final=perhaps",
        f"{CANDLES}?%00=1",
        f"{CANDLES.removesuffix('1m')}99999999999m",
        f"{CANDLES.removesuffix('1m')}0m",
        f"{TRADES}?from_id=99999999999999999999",
        f"{TRADES}?start=2&end=1",
        "/v1/gaps?start=9999-12-31",
        "/v1/symbols?exchange=%00",
        "/v1/quality?start=0",
        "/v1/ohlcv/all/%00/1m",
    ],
)
async def test_a_bad_request_gets_a_problem(asking, target, caplog):
    caplog.set_level(logging.DEBUG)
    answer = await asking.get(target)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_a_method_that_no_route_has(asking, method):
    answer = await asking.request(method, CANDLES)
    assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)
