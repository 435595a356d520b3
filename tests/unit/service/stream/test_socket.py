"""The server itself: WebSockets and Server-Sent Events over a port, and clients that misbehave."""

import asyncio
import contextlib
import json
import socket

import httpx
import pytest
import websockets

from k2stream.service.application import create
from k2stream.service.server import Server
from k2stream.service.sources import Sources
from k2stream.service.stream import sockets
from k2stream.service.stream.outlets import frame
from k2stream.settings import make
from k2stream.web.health import FeedHealth
from tests.unit.service.stream.asking import T0, subscribe


@pytest.fixture
async def server(hub, tables, listed):
    sources = Sources(make(simulated=True), listed, tables, FeedHealth(), lambda: True)
    made = Server(create(sources, hub), "127.0.0.1", 0, hub.stop)
    made.bind()
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def address(server):
    return f"127.0.0.1:{server.port}/v1/stream"


@pytest.fixture
async def connected(address):
    async with websockets.connect(f"ws://{address}") as made:
        assert json.loads(await made.recv()) == {"op": "hello", "simulated": True}
        yield made


async def until(connection, wanted):
    async with asyncio.timeout(60):
        while True:
            message = json.loads(await connection.recv())
            if wanted(message):
                return message


async def test_a_client_over_a_socket(connected, revise, first):
    revise(T0, 1)
    await connected.send(subscribe(first, since=T0).decode())
    message = await until(connected, lambda each: "candle" in each)
    assert message["candle"]["revision"] == 1
    await until(connected, lambda each: each.get("op") == "caught_up")
    revise(T0, 2)
    message = await until(connected, lambda each: "candle" in each)
    assert (message["id"], message["candle"]["revision"]) == (1, 2)
    await connected.send('{"op":"list"}')
    listing = await until(connected, lambda each: each.get("op") == "list")
    assert listing["subscriptions"][0]["symbol"] == first.canonical
    assert listing["subscriptions"][0]["resume"] == message["resume"]
    await connected.send('{"op":"unsubscribe","id":1}')
    assert await until(connected, lambda each: each.get("op") == "unsubscribed") == {
        "op": "unsubscribed",
        "id": 1,
    }


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (
            '{"op":"subscribe","id":1,"channel":"candles","exchange":"nowhere"}',
            404,
            "unknown exchange nowhere",
        ),
        ('{"op":"subscribe","id":1,"channel":"books"}', 400, "books"),
        ('{"op":"subscribe","id":1,"channel":"candles","timeframe":"7x"}', 404, "7x"),
        ('{"op":"subscribe","id":1,"channel":"candles","since":"nonsense"}', 400, "resume token"),
        ('{"op":"subscribe","id":1,"channel":"candles","since":"0-1-1.AAAA"}', 400, "damaged"),
        ('{"op":"subscribe","id":1,"channel":"candles","since":-1}', 400, "since"),
        (
            '{"op":"subscribe","id":1,"channel":"candles","timeframe":"1w","since":4503599627370496}',
            400,
            "2286",
        ),
        ('{"op":"subscribe","id":-1,"channel":"candles"}', 400, "id"),
        ('{"op":"subscribe","id":1,"channel":"candles","sybmol":"X"}', 400, "sybmol"),
        ('{"op":"unsubscribe","id":5}', 404, "no subscription 5"),
        ('{"op":"buy"}', 400, "buy"),
        ("[]", 400, "object"),
    ],
)
async def test_a_refusal_is_a_problem_and_the_connection_stays(connected, sent, status, said):
    await connected.send(sent)
    error = await until(connected, lambda each: each.get("op") == "error")
    assert error["problem"]["status"] == status
    assert said in error["problem"]["detail"]
    await connected.send('{"op":"list"}')
    await until(connected, lambda each: each == {"op": "list", "subscriptions": []})


async def test_what_is_no_json_gets_an_error_and_a_clean_close(connected, caplog):
    await connected.send(b"\xff\x00")
    error = json.loads(await connected.recv())
    assert error["problem"]["status"] == 400
    with pytest.raises(websockets.ConnectionClosed):
        await connected.recv()
    assert connected.close_code == 1007
    assert not caplog.text


async def test_a_huge_message_gets_a_clean_close(connected, caplog):
    with pytest.raises(websockets.ConnectionClosed):
        await connected.send(" " * 1_000_000)
        await connected.recv()
    assert connected.close_code == 1009
    assert "Traceback" not in caplog.text


async def test_an_id_is_used_once(connected, first):
    for _ in range(2):
        await connected.send(subscribe(first).decode())
    error = await until(connected, lambda each: each.get("op") == "error")
    assert error["problem"]["status"] == 409


async def test_a_client_that_never_reads_is_dropped_and_its_connection_ended(
    address, hub, first, monkeypatch, caplog
):
    monkeypatch.setattr("k2stream.service.stream.hub.SLOW_SECONDS", 0.05)
    monkeypatch.setattr("k2stream.service.stream.hub.TICK_SECONDS", 0.02)
    monkeypatch.setattr(sockets, "ABORT_SECONDS", 0.05)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        host, port = address.split("/")[0].split(":")
        await loop.sock_connect(raw, (host, int(port)))
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        upgrade = f"Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}"
        await loop.sock_sendall(raw, f"GET /v1/stream HTTP/1.1\r\n{upgrade}\r\n".encode())
        await loop.sock_sendall(raw, masked(subscribe(first)))
        await eventually(lambda: hub.clients)
        (client,) = hub.clients
        client.outlet.write(b" " * 16_000_000)
        await eventually(lambda: not hub.clients)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := await asyncio.wait_for(loop.sock_recv(raw, 1 << 20), 20):
                received += len(chunk)
    assert received < 16_000_000
    assert "Traceback" not in caplog.text


async def eventually(condition):
    async with asyncio.timeout(60):
        while not await asyncio.sleep(0.01, condition()):
            pass


def masked(payload):
    """A short text frame as clients send it, with a mask of zeros."""
    return bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2, "big") + bytes(4) + payload


async def test_a_worker_that_stops_says_so(connected, hub, revise, first):
    await connected.send(subscribe(first).decode())
    await until(connected, lambda each: each.get("op") == "caught_up")
    revise(T0, 1)
    message = await until(connected, lambda each: "candle" in each)
    hub.stop()
    end = await until(connected, lambda each: each.get("op") == "end")
    assert (end["reason"], end["resume"]) == ("stopping", {"1": message["resume"]})
    with pytest.raises(websockets.ConnectionClosed):
        await connected.recv()
    assert connected.close_code == 1012


async def test_server_sent_events_resume_by_their_id(address, revise, first):
    revise(T0, 1)
    asked = {"exchange": first.exchange, "symbol": first.canonical.replace("/", "-"), "since": str(T0)}
    async with httpx.AsyncClient() as client:
        async with client.stream("GET", f"http://{address}", params=asked) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            found = await events(answer, 4)
        (op, _), (told, _), (entry, name), (caught_up, _) = found
        assert [op["op"], told["op"], caught_up["op"]] == ["hello", "subscribed", "caught_up"]
        assert (entry["candle"]["revision"], entry["resume"]) == (1, name)
        revise(T0, 2)
        headers = {"Last-Event-ID": name}
        async with client.stream("GET", f"http://{address}", params=asked, headers=headers) as answer:
            found = await events(answer, 3)
        assert [each["candle"]["revision"] for each, _ in found if "candle" in each] == [2]
        refused = await client.get(f"http://{address}", params={"exchange": "nowhere"})
        assert refused.status_code == 404
        assert refused.headers["content-type"].startswith("application/problem+json")


async def events(answer, count):
    found, name = [], None
    async with asyncio.timeout(60):
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                name = line[4:]
            elif line.startswith("data: "):
                found.append((json.loads(line[6:]), name))
                name = None
            if len(found) == count:
                return found
    return found


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_as_the_protocol_says(size):
    from websockets.frames import Frame, Opcode

    payload = b"x" * size
    assert frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
