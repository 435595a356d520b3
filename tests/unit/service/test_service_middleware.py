"""What every request passes: ids, limits, CORS, keys, rates, compression and ETags."""

import gzip
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import cramjam
import httpx
import pytest

from k2stream import metrics
from k2stream.service.application import create
from k2stream.service.middleware import wrapped
from k2stream.service.middleware.access import MOST_CLIENTS, Rates
from k2stream.service.middleware.content import coding_of
from k2stream.service.sources import Sources
from k2stream.settings import ServiceSettings, load, make
from tests.unit.service.memory import candle

PROBLEM = "application/problem+json"
KEY = "a key of a client, é"
DIGEST = sha256(KEY.encode()).hexdigest()


@pytest.fixture
def serve(stored, listed, health):
    def made(**settings):
        app: Any = create(Sources(make(**settings), listed, stored, health, lambda: True))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service")

    return made


@pytest.fixture
def path(stored, listed):
    first = listed[0]
    stored.answers[first.key, "1m"] = [candle(first, "1m", 60_000 * at) for at in range(1, 100)]
    return f"/v1/ohlcv/{first.exchange}/{first.canonical.replace('/', '-')}/1m"


async def test_a_request_keeps_its_id_or_gets_one(serve):
    async with serve() as client:
        given = await client.get("/health", headers={"X-Request-Id": "abc-1"})
        assert given.headers["x-request-id"] == "abc-1"
        made = [(await client.get("/health", headers={"X-Request-Id": "a b"})).headers["x-request-id"]]
        made.append((await client.get("/nowhere")).headers["x-request-id"])
        assert len({*made, "a b"}) == 3


async def test_answers_are_counted_by_route_and_status(serve, path):
    def count(status):
        route = "/v1/ohlcv/{exchange}/{symbol}/{timeframe}"
        return metrics.HTTP_REQUESTS.labels(route, status)._value.get()

    before = count(200), count(404)
    async with serve() as client:
        await client.get(path)
        await client.get(path.replace("/1m", "/7x"))
    assert (count(200), count(404)) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("length", [9_000, 1_000_000])
async def test_a_url_that_is_too_long(stored, listed, health, length):
    app: Any = create(Sources(make(), listed, stored, health, lambda: True))
    sent = []
    scope = {"type": "http", "method": "GET", "path": "/health", "raw_path": b"/health", "headers": []}

    async def send(message):
        sent.append(message)

    await app(scope | {"query_string": b"a" * length}, None, send)
    assert sent[0]["status"] == 414
    assert dict(sent[0]["headers"])[b"content-type"] == PROBLEM.encode()


async def test_a_body_that_is_too_long(serve):
    async def endless():
        for _ in range(100):
            yield b"0" * 10_000

    async with serve() as client:
        assert (await client.post("/health", content=b"0" * 70_000)).status_code == 413
        assert (await client.post("/health", content=endless())).status_code in (400, 405, 413)


@pytest.mark.parametrize(("coding", "undo"), [("gzip", gzip.decompress), ("zstd", cramjam.zstd.decompress)])
async def test_answers_are_compressed(serve, path, coding, undo):
    async with serve() as client:
        plain = (await client.get(path, headers={"Accept-Encoding": "identity"})).content
        request = client.build_request("GET", path, headers={"Accept-Encoding": coding})
        answer = await client.send(request, stream=True)
        sent = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == (coding, "Accept-Encoding")
    assert bytes(undo(sent)) == plain
    assert int(answer.headers["content-length"]) == len(sent) < len(plain) / 4


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"", None),
        (b"identity, br", None),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"GZIP;q=0.5", "gzip"),
        (b"zstd; q=0, gzip", "gzip"),
    ],
)
def test_the_coding_that_a_client_takes(accepted, coding):
    assert coding_of(accepted) == coding


async def test_what_the_client_has_is_not_sent_again(serve, path, stored, listed):
    async with serve() as client:
        tag = (await client.get(path)).headers["etag"]
        again = await client.get(path, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        stored.answers[listed[0].key, "1m"].pop()
        changed = await client.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag


async def test_head_has_the_headers_of_get(serve, path):
    async with serve() as client:
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["etag"] == (await client.get(path)).headers["etag"]


async def test_other_sites_read_answers_only_if_a_setting_says_so(serve, path):
    asked = {"Origin": "https://a.example"}
    async with serve() as client:
        assert "access-control-allow-origin" not in (await client.get(path, headers=asked)).headers
    async with serve(service_origins="https://a.example") as client:
        answer = await client.get(path, headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "X-K2-Next" in answer.headers["access-control-expose-headers"]
        other = await client.get(path, headers={"Origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers
        preflight = await client.options(path, headers=asked | {"Access-Control-Request-Method": "GET"})
        assert (preflight.status_code, "X-API-Key" in preflight.headers["access-control-allow-headers"]) == (
            204,
            True,
        )


async def test_keys(serve, path):
    async with serve(service_keys=f"{'0' * 64}, {DIGEST.upper()}") as client:
        refused = await client.get(path)
        assert (refused.status_code, refused.headers["content-type"]) == (401, PROBLEM)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert (await client.get(path, headers={"X-API-Key": "another"})).status_code == 401
        assert (await client.get(path, headers={"X-API-Key": KEY.encode()})).status_code == 200
        assert (
            await client.get(path, headers={"Authorization": f"Bearer {KEY}".encode()})
        ).status_code == 200
        assert (await client.get("/health")).status_code == 200


def offered(key):
    """The subprotocols with which a browser sends a key."""
    return ["k2", "k2.key." + urlsafe_b64encode(key.encode()).decode().rstrip("=")]


async def websocket(app, protocols):
    """What a WebSocket that offers protocols is sent first."""
    sent = []
    scope = {"type": "websocket", "path": "/v1/stream", "headers": [], "subprotocols": protocols}

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    await app(scope | {"extensions": {}}, receive, send)
    return sent[0]


async def accepting(scope, receive, send):
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(
    ("keys", "protocols", "wanted"),
    [
        (DIGEST, offered(KEY), {"type": "websocket.accept", "subprotocol": "k2"}),
        ("", offered(KEY), {"type": "websocket.accept", "subprotocol": "k2"}),
        ("", [], {"type": "websocket.accept"}),
        ("", ["other"], {"type": "websocket.accept"}),
    ],
)
async def test_a_key_of_a_browser_is_a_subprotocol(keys, protocols, wanted):
    app = wrapped(accepting, make(service_keys=keys).service)
    assert await websocket(app, protocols) == wanted


@pytest.mark.parametrize("protocols", [[], ["k2"], offered("another"), ["k2", "k2.key.é"], ["k2.key.A"]])
async def test_a_subprotocol_that_is_no_key(protocols):
    app = wrapped(accepting, make(service_keys=DIGEST).service)
    refused = await websocket(app, protocols)
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)


async def test_a_client_that_asks_too_often(serve, path):
    async with serve(service_rate=2) as client:
        answers = [await client.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"


def test_a_rate_is_kept_by_client():
    now = 0.0
    rates = Rates(2, lambda: now)
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0.5]
    assert rates.take("b") == 0
    now = 0.5
    assert [rates.take("a") for _ in range(2)] == [0, 0.5]


def test_clients_that_are_silent_are_forgotten():
    rates = Rates(1, lambda: 0.0)
    for client in range(MOST_CLIENTS + 5):
        rates.take(str(client))
    assert len(rates._buckets) == MOST_CLIENTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEYS", "secret"),
        ("KEYS", "0" * 63),
        ("RATE", "-1"),
        ("ORIGINS", "a.example"),
        ("WORKERS", "http://a"),
    ],
)
def test_settings_that_cannot_be(name, value):
    with pytest.raises(Exception, match=f"K2_SERVICE_{name}") as failed:
        load({f"K2_SERVICE_{name}": value})
    assert name != "KEYS" or value not in str(failed.value)


def test_settings_in_parts():
    made = ServiceSettings(workers="a=http://h:1/, b=https://h:2", origins="https://a, *")
    assert made.worker_urls == {"a": "http://h:1", "b": "https://h:2"}
    assert made.origin_names == ["https://a", "*"]
