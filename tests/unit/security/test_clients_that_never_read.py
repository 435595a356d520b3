"""Clients that ask and do not read, over real sockets: their connections are ended."""

import socket
import time
from contextlib import suppress
from decimal import Decimal

import pytest

from k2stream.model.trades import NumberedTrade
from k2stream.service.mirror import payloads
from k2stream.service.stream import sockets
from k2stream.service.trades import TradeAnswer
from tests.unit.security.served import LISTED, MINUTE, serving
from tests.unit.service.memory import TradesInMemory, candle, numbered_rows

FIRST = LISTED[0]
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)


class Flood(TradesInMemory):
    """Thousands of new trades, each time that is asked for what is new."""

    newest = 0

    async def read(self, instrument, page):
        first, self.newest = self.newest + 1, self.newest + 2_000
        made = (
            NumberedTrade(number, number, number, number * 1000, Decimal(2), Decimal(3), True)
            for number in range(first, self.newest + 1)
        )
        return TradeAnswer(numbered_rows(made))


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(sockets, "TAKES_SECONDS", 0.5)
    monkeypatch.setattr(payloads, "POLL_SECONDS", 0.02)
    with serving(pushed=False) as made:
        rows = [candle(FIRST, "1m", MINUTE * at) for at in range(1, 5_000)]
        made.candles.answers[FIRST.key, "1m"] = rows
        yield made


def deaf(service, request):
    """A connection that has sent a request, and takes as little as a socket can."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(20)
    made.connect(("127.0.0.1", service.port))
    made.sendall(request.encode())
    return made


def ended(service, made):
    """Wait until the server has no connection, though nothing was read from it."""
    deadline = time.monotonic() + 20
    while service.connections:
        assert time.monotonic() < deadline, "the connection stays"
        time.sleep(0.02)
    received = 0
    with made, suppress(ConnectionResetError):
        while piece := made.recv(1 << 20):
            received += len(piece)
    return received


def test_an_answer_that_nobody_reads_is_given_up(service):
    path = f"/v1/ohlcv/{FIRST.exchange}/{FIRST.canonical.replace('/', '-')}/1m?limit=5000"
    asked = f"GET {path} HTTP/1.1\r\nHost: k2\r\n\r\n" * 30
    assert ended(service, deaf(service, asked)) < 60_000_000


def test_a_stream_of_the_mirror_that_nobody_reads_is_given_up(service, caplog):
    service.trades.read = Flood().read
    name = FIRST.canonical.replace("/", "").lower()
    ended(service, deaf(service, f"GET /ws/{name}@trade HTTP/1.1\r\nHost: k2\r\n{UPGRADE}\r\n"))
    assert "Traceback" not in caplog.text


def test_a_client_that_reads_slowly_is_kept(service, monkeypatch):
    """What counts is whether it takes anything at all."""
    path = f"/v1/ohlcv/{FIRST.exchange}/{FIRST.canonical.replace('/', '-')}/1m?limit=5000"
    made = deaf(service, f"GET {path} HTTP/1.1\r\nHost: k2\r\nConnection: close\r\n\r\n" * 1)
    received = b""
    with made:
        while piece := made.recv(4096):
            received += piece
            if len(received) % (64 << 10) < 4096:
                time.sleep(0.02)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    assert len(body) == int(length.split(b":")[1])
