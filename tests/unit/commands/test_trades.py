"""`k2 trades`: from the service, with the newest; from ClickHouse where none answers."""

import itertools
import json
from collections import deque
from contextlib import nullcontext
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from k2stream import settings
from k2stream.cli import main
from k2stream.commands import traded
from k2stream.commands import trades as command
from k2stream.commands.traded import QueriedTrades, ServedTrades
from k2stream.history.reader import MissingTier
from k2stream.model.errors import ConfigError
from k2stream.model.trades import NumberedTrade
from k2stream.service.trade_rows import joined
from tests.unit.security.served import LISTED, serving
from tests.unit.service.memory import silver_rows

FIRST = LISTED[0]


def numbers(rows):
    return [row["raw_offset"] for row in rows]


@pytest.fixture
def service():
    with serving() as made:
        made.trades.answers[FIRST.key] = [
            NumberedTrade(n, n, n, n * 1000, Decimal("2.50"), Decimal(3), True) for n in range(1, 21)
        ]
        yield made


@pytest.fixture
def client(service):
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=20) as made:
        yield made


def test_a_span_of_the_service(client, monkeypatch):
    monkeypatch.setattr(traded, "LARGEST_LIMIT", 3)
    served = ServedTrades(client, FIRST)
    assert numbers(served.span(None, None, 8).rows) == list(range(13, 21))
    assert numbers(served.span(5, None, 7).rows) == list(range(5, 12))
    assert numbers(served.span(5, 9, 100).rows) == list(range(5, 9))
    assert served.span(1, None, 1).rows == [
        {
            "timestamp": 1000,
            "side": "BUY",
            "price": "2.5",
            "quantity": "3",
            "trade_id": "",
            "trade_count": 1,
            "raw_offset": 1,
            "receive_time": 0,
        }
    ]


class Streaming:
    """A service: its stream ends after each list of messages, and its newest trades are in memory."""

    def __init__(self, newest, *streams):
        self.newest, self.streams, self.resumed = newest, deque(streams), []

    def __call__(self, request):
        if request.url.path == "/v1/stream":
            self.resumed.append(request.headers.get("Last-Event-ID"))
            lines = (f"id: x\ndata: {json.dumps(message)}\n\n" for message in self.streams.popleft())
            return httpx.Response(200, text="".join(lines))
        trades = [{"id": "", "time": 0, **trade(n)} for n in self.newest]
        return httpx.Response(200, json={"trades": trades[::-1], "missing": [], "next": None})


def trade(number):
    named = {"timestamp": 0, "side": "BUY", "price": "1", "quantity": "1", "trade_id": "", "trade_count": 1}
    return {**named, "raw_offset": number, "receive_time": 0}


def pushed(number):
    return {"id": 1, "channel": "trades", "trade": trade(number), "resume": f"after {number}"}


def test_the_newest_are_followed_without_a_seam(monkeypatch):
    monkeypatch.setattr(traded, "_AGAIN_SECONDS", 0)
    service = Streaming(
        [3, 4, 5],
        [{"op": "hello"}, {"op": "caught_up", "resume": "begun"}, pushed(4), pushed(5), pushed(6)],
        [{"op": "caught_up", "resume": "again"}, pushed(7), {"op": "end", "resume": {"1": "again"}}],
        [{"op": "error", "problem": {"detail": "expired"}}],
    )
    got = []
    transport, expired = httpx.MockTransport(service), pytest.raises(ConfigError, match="answered expired")
    with httpx.Client(transport=transport, base_url="http://service") as client, expired:
        for rows in ServedTrades(client, FIRST).follow(3):
            got += numbers(rows)
    assert (got, service.resumed) == ([3, 4, 5, 6, 7], [None, "after 6", "after 7"])


class Store:
    """ClickHouse, with trades by raw offset."""

    def __init__(self, *offsets):
        self.offsets = list(offsets)

    def page(self, instrument, page, since):
        return joined(page, self._rows())

    def beyond(self, instrument, offset, limit):
        self.offsets.append(self.offsets[-1] + 1)
        return self._rows().filter([each > offset for each in self.offsets])

    def _rows(self):
        return silver_rows({"timestamp": 1000 * each, "raw_offset": each} for each in self.offsets)


def test_clickhouse_is_followed_by_raw_offset(monkeypatch):
    monkeypatch.setattr(traded, "_AGAIN_SECONDS", 0)
    store: Any = Store(1, 2, 3)
    assert numbers(QueriedTrades(store, FIRST).span(2, None, 1).rows) == [2]
    following = QueriedTrades(store, FIRST).follow(2)
    assert [numbers(rows) for rows in itertools.islice(following, 3)] == [[2, 3], [4], [5]]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command where ClickHouse has three trades, and a platform may run at a URL."""
    monkeypatch.setenv("K2_DATA_DIR", str(tmp_path))
    settings.current.cache_clear()
    monkeypatch.setattr(command, "asking", nullcontext)
    monkeypatch.setattr(command, "RecentTrades", lambda *_: Store(1, 2, 3))

    def made(*arguments, at=""):
        running = SimpleNamespace(settings=settings.current(), service=at)
        monkeypatch.setattr(command, "find", lambda _: running if at else None)
        return CliRunner().invoke(main, ["trades", FIRST.exchange, FIRST.canonical, "--json", *arguments])

    yield made
    settings.current.cache_clear()


def test_the_service_of_the_running_platform_is_asked(run, service):
    for given in ({"at": f"http://127.0.0.1:{service.port}"}, {}):
        arguments = () if given else ("--url", f"http://127.0.0.1:{service.port}")
        result = run("--limit", "2", *arguments, **given)
        shown = json.loads(result.stdout)
        assert (numbers(shown["trades"]), shown["missing"], result.stderr) == ([19, 20], [], "")


def test_people_are_told_what_may_be_missing(run, service):
    service.trades.missing = (MissingTier("ClickHouse", "away"),)
    url = ("--url", f"http://127.0.0.1:{service.port}")
    assert json.loads(run(*url).stdout)["missing"] == [{"tier": "ClickHouse", "reason": "away"}]
    result = CliRunner().invoke(main, ["trades", FIRST.exchange, FIRST.canonical, *url])
    assert (result.exit_code, result.stderr) == (0, "without ClickHouse (away)\n")


def test_clickhouse_is_asked_where_no_service_answers(run):
    for at in ("", "http://127.0.0.1:1"):
        result = run("--limit", "2", at=at)
        shown = json.loads(result.stdout)
        assert (numbers(shown["trades"]), [tier["tier"] for tier in shown["missing"]]) == ([2, 3], ["topic"])
        assert ("from ClickHouse alone: no answer from" in result.stderr) == bool(at)


def test_a_url_that_does_not_answer_is_an_error(run):
    result = run("--url", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "correct --url" in result.stderr
