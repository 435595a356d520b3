"""Table look-ups that are answered where their request arrives: the bytes that the application would send."""

import asyncio
import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from k2stream import instruments, metrics
from k2stream.candles.codec import KeyProgress
from k2stream.candles.partition import CandlePartition
from k2stream.candles.state import State, shown, to_candle
from k2stream.history.reader import candle_history
from k2stream.model.candle import TIMEFRAMES
from k2stream.model.decimals import plain
from k2stream.service.application import create
from k2stream.service.connections import ServiceHttp
from k2stream.service.server import Server
from k2stream.service.sources import Sources
from k2stream.settings import make
from k2stream.web import lookup
from k2stream.web.candles import CandleReader
from k2stream.web.health import FeedHealth

SETTINGS = make(simulated=True)
LISTED = instruments.load(SETTINGS.feeds.instruments_file)
FIRST = LISTED[0]
PATH = f"/v1/ohlcv/{FIRST.exchange}/{FIRST.canonical.replace('/', '-')}"
ROUTE = "/v1/ohlcv/{exchange}/{symbol}/{timeframe}"

amounts = st.integers(0, 10**30)
STATES = st.builds(
    State,
    *(amounts, amounts, amounts, amounts, st.just((7_000, 1, 1)), st.just((9_000, 2, 2))),
    *(amounts.filter(bool), amounts, amounts, amounts, *[st.integers(1, 10**6)] * 2),
    *(st.just(9_000), st.integers(0, 7), st.integers(-1, 10**9), st.booleans()),
)

ONE = State(1, 1, 1, 1, (0, 0, 0), (0, 0, 0), 1, 1, 0, 0, 1, 1, 0, 0, 0)


class Store:
    """The windows of a timeframe."""

    def __init__(self):
        self.held: dict[tuple[str, int], State] = {}

    def get(self, key, open_time):
        return self.held.get((key, open_time))

    def put(self, key, open_time, state):
        self.held[key, open_time] = state

    def delete(self, key, open_time):
        del self.held[key, open_time]

    def windows(self):
        return [(*window, state) for window, state in self.held.items()]


class Progress(dict):
    """The progress of keys."""

    put = dict.__setitem__


class Transport:
    """Keeps what is written."""

    def __init__(self):
        self.written = b""
        self.closed = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def get_extra_info(self, name):
        return None

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Tables:
    """Two services over the tables of one worker: with the shorter way, and without."""

    def __init__(self):
        self.partitions: dict[int, CandlePartition] = {}
        self.short, self.long = create(self.sources(SETTINGS)), create(self.sources(SETTINGS))
        self.long.direct = None

    def sources(self, settings):
        """What a service reads from."""
        health = FeedHealth()
        health.ready = True
        reader = CandleReader(health, candle_history(settings.candles), 0, lambda: 10**12)
        app: Any = None
        read = lookup.CandleLookup(app, app, self.partitions, reader, settings.kafka)
        return Sources(settings, LISTED, read, health, lambda: True)

    def fill(self, windows, reached):
        """Windows of the first symbol in all timeframes, by number; its progress is up to a time (ms)."""
        stores = {name: Store() for name in TIMEFRAMES}
        for name, length in TIMEFRAMES.items():
            for at, state in windows.items():
                within = at * length * 1000, 1, 1
                dated = msgspec.structs.replace(
                    state, open_at=within, close_at=within, receive_time=within[0]
                )
                stores[name].put(FIRST.key, at * length, dated)
        progress = Progress({FIRST.key: KeyProgress(7, reached * 1000)})
        self.partitions[0] = CandlePartition(stores, progress, grace=0, idle=0, retention=500, now=0)

    def asked(self, request):
        """What comes over the wire: parsed, at once, not even parsed, and without the shorter way."""
        return [asyncio.run(response(app, request)) for app in (*[self.short] * 3, self.long)]


async def response(app, *parts, count=1):
    """The bytes of `count` responses to what arrives in parts, without the requests' numbers."""
    config = Server(app, "127.0.0.1", 0)._server.config
    config.load()
    state = ServerState()
    transport: Any = Transport()
    state.default_headers = [(b"date", b"today")]
    protocol = ServiceHttp(config, state, {}, _loop=asyncio.get_running_loop())
    protocol.connection_made(transport)
    async with asyncio.timeout(60):
        for part in parts:
            protocol.data_received(part)
            await asyncio.sleep(0)
        while state.total_requests < count:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0)
    if state.tasks:
        await asyncio.wait(state.tasks)
    protocol._unset_keepalive_if_required()
    lines = transport.written.split(b"\r\n")
    return transport.closed, [line for line in lines if not line.startswith(b"x-request-id: ")]


@pytest.fixture(scope="module")
def tables():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lookup, "is_ready", lambda app: True)
        yield Tables()


HEADERS = st.lists(
    st.sampled_from(
        [
            "Accept: */*",
            "Accept-Encoding: gzip, zstd",
            "User-Agent: curl/8",
            "Connection: keep-alive",
            "Connection: close",
            "X-Request-Id: mine",
            "If-None-Match: *",
            "Origin: https://a.example",
            "Content-Length: 0",
        ]
    ),
    max_size=3,
    unique=True,
)
QUERIES = st.sampled_from(
    [
        *("limit=1", "limit=1", "limit=1&order=desc", "limit=1&tz=UTC", "limit=2", "", "limit=1&final=true"),
        *("limit=1&format=csv", "limit=1&fill=prev", "limit=1&start=0", "limit=1&end=1", "limit=0", "a=1"),
    ]
)


@given(
    st.sampled_from(["1m", "1m", "1d", "3m"]),
    QUERIES,
    HEADERS,
    st.sampled_from(["GET", "GET", "GET", "HEAD"]),
    st.sampled_from(["1.1", "1.1", "1.0"]),
    st.dictionaries(st.integers(0, 9), STATES, min_size=1, max_size=4),
    st.integers(0, 700_000),
)
def test_the_bytes_are_those_of_the_application(
    tables, timeframe, query, headers, method, http, windows, reached
):
    tables.fill(windows, reached)
    request = f"{method} {PATH}/{timeframe}?{query} HTTP/{http}\r\nHost: a\r\n"
    request += "".join(f"{header}\r\n" for header in headers) + "\r\n"
    parsed, at_once, again, long = tables.asked(request.encode())
    assert again == at_once == parsed == long


def counted(service, calls):
    """The service, which notes what reaches its application."""
    app = service._app

    async def noted(scope, receive, send):
        calls.append(scope["query_string"])
        await app(scope, receive, send)

    service._app = noted
    return service


@pytest.mark.parametrize(
    ("settings", "header", "reach"),
    [
        ({}, "", 1),
        ({"service_rate": 1000.0}, "", 2),
        ({"service_keys": "0" * 64}, "", 2),
        ({}, "X-Request-Id: mine\r\n", 2),
        ({}, "If-None-Match: *\r\n", 2),
    ],
)
async def test_what_is_plain_and_known_does_not_reach_the_application(tables, settings, header, reach):
    tables.fill({1: ONE}, 120_000)
    calls: list[bytes] = []
    service = counted(create(tables.sources(make(simulated=True, **settings))), calls)
    before = metrics.HTTP_REQUESTS.labels(ROUTE, 200)._value.get()
    for _ in range(2):
        await response(service, f"GET {PATH}/1m?limit=1 HTTP/1.1\r\n{header}\r\n".encode())
    assert len(calls) == reach
    if not settings and not header:
        assert metrics.HTTP_REQUESTS.labels(ROUTE, 200)._value.get() == before + 2


async def test_a_worker_that_is_not_ready_refuses_known_urls(tables, monkeypatch):
    tables.fill({1: ONE}, 120_000)
    request = f"GET {PATH}/1m?limit=1 HTTP/1.1\r\n\r\n".encode()
    assert (await response(tables.short, request))[1][0] == b"HTTP/1.1 200 OK"
    monkeypatch.setattr(lookup, "is_ready", lambda app: False)
    assert (await response(tables.short, request))[1][0] == b"HTTP/1.1 503 Service Unavailable"


async def test_requests_that_come_together_are_answered_in_order(tables):
    tables.fill({1: ONE}, 120_000)
    one, other = (f"GET {path} HTTP/1.1\r\n\r\n".encode() for path in (f"{PATH}/1m?limit=1", "/nowhere"))
    await response(tables.short, one)
    _, lines = await response(tables.short, one + other + one + one, count=4)
    whole = b"\r\n".join(lines)
    assert re.findall(rb"HTTP/1.1 (\d+) ", whole) == [b"200", b"404", b"200", b"200"]


REQUESTS = [
    *(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in (f"{PATH}/1m?limit=1", "/nowhere")),
    f"GET {PATH}/1d?limit=1 HTTP/1.1\r\n\r\n".encode(),
    f"GET {PATH}/1m?limit=1 HTTP/1.1\r\nX-Request-Id: b\r\n\r\n".encode(),
    f"GET {PATH}/1m HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET".encode(),
]


@given(
    st.lists(st.sampled_from([*REQUESTS, REQUESTS[0]]), min_size=1, max_size=6), st.sets(st.integers(0, 500))
)
def test_requests_may_arrive_in_any_parts(tables, requests, cuts):
    tables.fill({1: ONE}, 120_000)
    whole = b"".join(requests)
    ends = sorted(cut for cut in cuts if 0 < cut < len(whole))
    parts = [whole[begin:end] for begin, end in pairwise([0, *ends, len(whole)])]
    short, each, long = (
        asyncio.run(response(app, *given, count=len(requests)))
        for app, given in ((tables.short, parts), (tables.short, requests), (tables.long, parts))
    )
    assert short == each == long


@given(STATES)
def test_the_text_of_a_state_is_that_of_its_candle(state):
    candle = to_candle(state, FIRST.key, FIRST.symbol, "1m", 0)
    assert shown(state) == tuple(map(plain, candle[6:15]))


@pytest.mark.parametrize(("path", "status"), [(f"{PATH}/1m?limit=1", b"200"), ("/nowhere", b"404")])
async def test_head_is_answered_without_a_body(tables, caplog, path, status):
    tables.fill({1: ONE}, 120_000)
    closed, lines = await response(tables.short, f"HEAD {path} HTTP/1.1\r\n\r\n".encode())
    assert lines[0].startswith(b"HTTP/1.1 " + status)
    assert lines[-2:] == [b"", b""]
    assert (closed, caplog.records) == (False, [])
