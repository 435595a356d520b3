"""The REST client against a real server that fails in each way."""

import asyncio
import logging
import socket
import time

import msgspec
import pytest
from aiohttp import web

from k2stream import metrics
from k2stream.backfill.client import RestClient
from k2stream.exchanges.rest.spec import HistoryError, Page, RestHistory, RestRequest, answer

REQUEST = RestRequest("A", "", "/trades", {"from": "1"})


def parse(request, body):
    return answer(msgspec.json.Decoder(list[int]), body, Page)


@pytest.fixture
async def serve():
    """A factory: the URL of a server that gives these answers, and the times at which it was asked."""
    runners = []

    async def start(*answers):
        left, asked = list(answers), []

        async def handle(request):
            asked.append(time.monotonic())
            assert dict(request.query) == REQUEST.query
            given = left.pop(0) if len(left) > 1 else left[0]
            if given == "drop":
                request.transport.abort()
            return web.Response(**given) if isinstance(given, dict) else web.Response()

        app = web.Application()
        app.add_routes([web.get("/trades", handle)])
        runner = web.AppRunner(app, access_log=None)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}", asked

    yield start
    for runner in runners:
        await runner.cleanup()


def client(url, rate=1000.0, base=0.001, cap=0.01):
    return RestClient("x", RestHistory(rate, 1000, parse), url, base=base, cap=cap)


def failures():
    return metrics.GAP_FILL_FAILURES.labels("x")._value.get()


FINE = {"text": "[1,2]"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"status": 503, "text": "down"}, "HTTP 503: down"),
        ({"status": 429, "text": '{"msg":"too many"}'}, "HTTP 429: too many"),
        ({"text": "<html>"}, "not the documented answer"),
        ("drop", "disconnected"),
    ],
)
async def test_failures_are_tried_again_until_there_is_an_answer(serve, caplog, bad, said):
    url, asked = await serve(bad, bad, bad, FINE)
    before = failures()
    async with client(url) as rest:
        assert (await rest.fetch(REQUEST)).trades == [1, 2]
    assert len(asked) == 4
    assert failures() == before + 3
    lines = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 3 and all(said in record.message and "\n" not in record.message for record in lines)


async def test_a_server_that_is_away_is_asked_until_the_end():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    before = failures()
    async with client(f"http://127.0.0.1:{port}") as rest:
        asking = asyncio.create_task(rest.fetch(REQUEST))
        async with asyncio.timeout(60):
            while failures() < before + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_final_answer_is_raised_at_once(serve):
    url, asked = await serve({"status": 404, "text": '{"message":"NotFound"}'})
    async with client(url) as rest:
        with pytest.raises(HistoryError, match="HTTP 404: NotFound"):
            await rest.fetch(REQUEST)
    assert len(asked) == 1


async def test_retry_after_is_kept(serve):
    url, asked = await serve({"status": 429, "headers": {"Retry-After": "1"}}, FINE)
    async with client(url) as rest:
        await rest.fetch(REQUEST)
    assert asked[1] - asked[0] >= 1


async def test_the_rate_is_kept_over_all_requests(serve):
    url, asked = await serve(FINE)
    began = time.monotonic()
    async with client(url, rate=50) as rest:
        await asyncio.gather(*(rest.fetch(REQUEST) for _ in range(10)))
    assert len(asked) == 10 and asked[-1] - began >= 9 / 50
