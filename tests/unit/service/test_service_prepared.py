"""URLs that were asked for before: the same bytes as if they were parsed again, and the same refusals."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream import instruments, metrics
from k2stream.service import application, prepared
from k2stream.service.prepared import PreparedUrls, WholeAnswer, prepare, with_prepared
from k2stream.service.sources import Sources
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from k2stream.web.query import RequestError
from tests.unit.service.memory import InMemory, candle

LISTED = instruments.load(make().feeds.instruments_file)
FIRST = LISTED[0]
NAME = FIRST.canonical.replace("/", "-")
ROUTE = "/v1/ohlcv/{exchange}/{symbol}/{timeframe}"


class Pair:
    """The application, and the same without the shorter way, over the same candles."""

    def __init__(self):
        self.stored, health = InMemory(), FeedHealth()
        health.ready = True
        self.refill(8)
        sources = Sources(make(), LISTED, self.stored, health, lambda: True)
        self.short: Any = application.create(sources)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(application, "with_prepared", lambda app, urls: app)
            self.long: Any = application.create(sources)

    def refill(self, count):
        """Candles of the last minutes, and of the exchanges' others."""
        for item in LISTED:
            if item.canonical == FIRST.canonical:
                self.stored.answers[item.key, "1m"] = [
                    candle(item, "1m", 60_000 * at, revision=count) for at in range(1, count)
                ]

    def asked(self, method, path, query, headers):
        """What both answer."""
        return [asyncio.run(answer(app, method, path, query, headers)) for app in (self.short, self.long)]


async def answer(app, method, path, query, headers):
    """Status, headers without the request's number, and body."""
    sent = []
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": headers}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app({**scope, "query_string": query.encode(), "root_path": "", "state": {}}, receive, send)
    start, *rest = sent
    named = [pair for pair in start["headers"] if pair[0] != b"x-request-id"]
    return start["status"], named, b"".join(message["body"] for message in rest)


@pytest.fixture
def pair():
    return Pair()


PARAMETERS = {
    "limit": ["1", "2", "5000", "0", "x"],
    "start": ["60000", "1970-01-01T00:02:00Z", "yesterday"],
    "end": ["240000", "1970-01-01T00:04:00Z", "1"],
    "order": ["asc", "desc", "up"],
    "fill": ["none", "prev"],
    "final": ["true", "false"],
    "tz": ["UTC", "Asia/Tokyo", "Mars/Base"],
    "format": ["json", "binance", "ccxt", "csv", "arrow", "xml"],
    "cursor": ["YjI0MDAwMA", "ZjI0MDAwMA", "nonsense"],
    "strat": ["1"],
}
PATHS = st.tuples(
    st.sampled_from([FIRST.exchange, FIRST.exchange, "all", "nowhere"]),
    st.sampled_from([NAME, NAME.lower(), NAME.replace("-", ""), "XXX-YYY"]),
    st.sampled_from(["1m", "1m", "3m", "1d", "7x"]),
)
QUERIES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in PARAMETERS.items()}
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        b"accept-encoding": st.sampled_from([b"gzip", b"zstd, gzip;q=0"]),
        b"if-none-match": st.sampled_from([b"*", b'"x"']),
        b"range": st.just(b"bytes=0-1"),
        b"accept": st.sampled_from([b"text/html", b"application/json"]),
    },
)


@pytest.fixture(scope="module")
def lasting():
    return Pair()


@given(st.sampled_from(["GET", "GET", "GET", "HEAD"]), PATHS, QUERIES, HEADERS, st.integers(2, 9))
def test_the_shorter_way_gives_the_same_bytes(lasting, method, parts, query, headers, count):
    asked = method, "/v1/ohlcv/" + "/".join(parts), "&".join(map("=".join, query.items())), [*headers.items()]
    lasting.refill(8)
    once, plain = lasting.asked(*asked)
    assert once == plain
    lasting.refill(count)
    again, plain = lasting.asked(*asked)
    assert again == plain


def test_a_url_that_is_known_is_not_parsed_again_but_read(pair, monkeypatch):
    asked = "GET", f"/v1/ohlcv/{FIRST.exchange}/{NAME}/1m", "limit=1", []
    (first, _) = pair.asked(*asked)
    monkeypatch.setattr("k2stream.service.candles.timeframe_of", None)
    pair.refill(5)
    before = metrics.HTTP_REQUESTS.labels(ROUTE, 200)._value.get()
    again, parsed = pair.asked(*asked)
    assert (first[0], again[0], parsed[0]) == (200, 200, 500)
    assert b'"revision":5' in again[2]
    assert b'"revision":8' in first[2]
    assert metrics.HTTP_REQUESTS.labels(ROUTE, 200)._value.get() == before + 1


def test_a_known_url_is_refused_as_any_other(pair):
    asked = "GET", f"/v1/ohlcv/{FIRST.exchange}/{NAME}/1m", "limit=1", []
    pair.asked(*asked)
    pair.stored.error = RequestError(503, "the tables of this worker are recovering, ask again")
    short, long = pair.asked(*asked)
    assert short == long
    assert short[0] == 503
    assert (b"retry-after", b"1") in short[1]


def route(calls):
    """An application that can be asked again for everything."""

    class Again:
        async def answer(self):
            return WholeAnswer(b"again", {"Content-Type": "text/plain"})

        def at_once(self):
            return None

    async def app(scope, receive, send):
        calls.append(scope["path"])
        scope["path_template"] = "/"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"parsed"})
        prepare(scope, Again())

    return with_prepared(app, PreparedUrls())


async def test_of_many_urls_those_asked_for_lately_are_known(monkeypatch):
    monkeypatch.setattr(prepared, "MOST", 2)
    calls = []
    app = route(calls)
    for path in ("/a", "/b", "/a", "/c", "/a", "/b"):
        await answer(app, "GET", path, "", [])
    assert calls == ["/a", "/b", "/c", "/b"]


async def test_a_long_url_is_not_kept():
    calls = []
    app = route(calls)
    for _ in range(2):
        await answer(app, "GET", "/a", "a" * prepared.LONGEST, [])
    assert len(calls) == 2
