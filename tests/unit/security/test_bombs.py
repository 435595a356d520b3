"""What unpacks to far more than it is, from a socket: refused, and no more unpacked than the limit."""

import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib
from contextlib import asynccontextmanager, contextmanager

import cramjam
import httpx
import lz4.frame
import pytest
import websockets
from websockets.frames import Frame, Opcode

from k2stream.embedded.clickhouse.http import _decode
from k2stream.embedded.clickhouse.reader import MalformedError
from k2stream.exchanges.rest.spec import HistoryError, RestRequest
from k2stream.feed.socket import open_socket
from k2stream.model import clock
from k2stream.rest.bounded import MOST_BYTES
from k2stream.rest.connection import RestConnection
from tests.unit.security.served import serving

MB = 1 << 20
FRAME_LIMIT = MB


def packed(size):
    """A gzip of `size` zeros, made a piece at a time."""
    packing = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    pieces = [packing.compress(bytes(MB)) for _ in range(size // MB)]
    return b"".join([*pieces, packing.flush()])


@contextmanager
def bounded(most):
    """The block may use at most so many bytes more."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@asynccontextmanager
async def exchange(behave, **options):
    """A server that does something with each connection; its URL."""
    async with websockets.serve(behave, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def until_closed(url):
    """Connect as a feed does; the code with which it closed."""
    made = await open_socket(url, FRAME_LIMIT, clock.now_us)
    with pytest.raises(websockets.ConnectionClosed):
        async with asyncio.timeout(60):
            while True:
                await made.recv()
    assert made.close_code is not None
    return made.protocol.close_sent.code if made.protocol.close_sent else made.close_code


async def test_a_compressed_frame_of_an_exchange_that_nobody_asked_for_is_not_unpacked():
    """Its bit is set though compression was not agreed: 60 MB in 300 kB."""
    packing = zlib.compressobj(1, zlib.DEFLATED, -15)
    bomb = b"".join([packing.compress(bytes(MB)) for _ in range(60)]) + packing.flush(zlib.Z_SYNC_FLUSH)

    async def behave(connection):
        connection.transport.write(bytes((0xC1, 127)) + len(bomb).to_bytes(8, "big") + bomb)
        await connection.wait_closed()

    async with exchange(behave, compression=None) as url:
        with bounded(20 * MB):
            assert await until_closed(url) == 1002


async def test_compression_that_an_exchange_insists_on_is_refused():
    """The handshake fails: no frame is read."""

    def insisting(connection, request, response):
        response.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
        return response

    async def behave(connection):
        await connection.wait_closed()

    async with exchange(behave, compression=None, process_response=insisting) as url:
        with pytest.raises(websockets.InvalidHandshake):
            await open_socket(url, FRAME_LIMIT, clock.now_us)


@pytest.mark.parametrize("fragments", [1, 200])
async def test_a_frame_of_an_exchange_beyond_the_limit_is_not_read(fragments):
    """In one piece, of which only the head is sent, or in fragments without an end."""

    async def behave(connection):
        size = 2 * FRAME_LIMIT // fragments
        if fragments == 1:
            connection.transport.write(bytes((0x81, 127)) + (1 << 40).to_bytes(8, "big"))
        for number in range(fragments if fragments > 1 else 0):
            opcode = Opcode.CONT if number else Opcode.TEXT
            connection.transport.write(Frame(opcode, b" " * size, fin=False).serialize(mask=False))
        await connection.wait_closed()

    async with exchange(behave, compression=None) as url:
        with bounded(20 * MB):
            assert await until_closed(url) == 1009


class Rest(threading.Thread):
    """An HTTP server that sends one answer, whatever is asked."""

    def __init__(self, head, body):
        super().__init__(daemon=True)
        self._head, self._body = head, body
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.start()

    def run(self):
        peer, _ = self._listening.accept()
        with peer, self._listening:
            peer.recv(65_536)
            try:
                peer.sendall(b"HTTP/1.1 200 OK\r\n" + self._head + b"\r\n\r\n")
                for piece in self._body:
                    peer.sendall(piece)
            except OSError:
                pass


SENT = packed(100 * MB)


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        (b"Content-Encoding: gzip\r\nContent-Length: %d" % len(SENT), [SENT], "more than"),
        (b"Content-Encoding: gzip\r\nConnection: close", [SENT[:-40]], "more than"),
        (b"Content-Encoding: gzip\r\nContent-Length: 5", [b"plain"], "not the gzip"),
        (b"Content-Encoding: gzip\r\nConnection: close", [gzip.compress(b"[1]" * 999)[:-9]], "cut off"),
        (b"Content-Encoding: br\r\nContent-Length: 2", [b"xx"], "was not asked for"),
        (b"Content-Encoding: zstd\r\nContent-Length: 2", [b"xx"], "was not asked for"),
        (b"Connection: close", (bytes(MB) for _ in range(100)), "more than"),
    ],
    ids=("gzip", "gzip, cut off", "no gzip", "short", "br", "zstd", "plain"),
)
async def test_an_answer_of_an_exchange_that_unpacks_beyond_the_limit_is_refused(head, body, said):
    server = Rest(head, body)
    async with RestConnection(server.url, 100) as connection:
        with bounded(MOST_BYTES + 24 * MB), pytest.raises(HistoryError, match=said):
            await connection.get(RestRequest("", "", "/", {}), bytes)


async def test_an_honest_answer_is_unpacked():
    body = gzip.compress(b"[1]" * 100_000)
    server = Rest(b"Content-Encoding: gzip\r\nContent-Length: %d" % len(body), [body])
    async with RestConnection(server.url, 100) as connection:
        assert await connection.get(RestRequest("", "", "/", {}), bytes) == b"[1]" * 100_000


@pytest.mark.parametrize("path", ["/v1/symbols", "/v1/stream", "/api/v3/klines", "/", "/nowhere"])
def test_a_request_body_is_not_unpacked(path):
    """No route takes one: it is refused by its size, or with the method."""
    body = packed(64 * MB)
    with serving() as service, bounded(24 * MB):
        url = f"http://127.0.0.1:{service.port}{path}"
        answer = httpx.post(url, content=body, headers={"Content-Encoding": "gzip"}, timeout=20)
        assert answer.status_code in (404, 405, 413)
        assert httpx.get(f"http://127.0.0.1:{service.port}/health").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_a_body_to_the_embedded_clickhouse_is_unpacked_up_to_a_limit(encoding, monkeypatch):
    monkeypatch.setattr("k2stream.embedded.clickhouse.http.MAX_BLOCK", 8 * MB)
    size = 64 * MB
    packing = {
        "gzip": lambda: packed(size),
        "deflate": lambda: zlib.compress(bytes(size), 1),
        "lz4": lambda: lz4.frame.compress(bytes(size)),
        "zstd": lambda: bytes(cramjam.zstd.compress(bytes(size), 1)),
    }
    bomb = packing[encoding]()
    assert len(bomb) < size // 100
    with bounded(24 * MB), pytest.raises(MalformedError, match="unpacked"):
        _decode(encoding, bomb)
    small = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "lz4": lz4.frame.compress,
        "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    }
    assert _decode(encoding, small[encoding](b"SELECT 1" * 1000)) == b"SELECT 1" * 1000
