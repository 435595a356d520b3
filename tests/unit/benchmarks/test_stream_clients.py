"""What the clients of the stream benchmark read of the wire."""

import json
import time

import pytest

from benchmarks.stages.stream_clients import Reader

TRADED = 25
"""How long before its publication a candle's last trade was, in ms."""


class Transport:
    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data


def frame(first, payload):
    size = bytes((len(payload),)) if len(payload) < 126 else bytes((126,)) + len(payload).to_bytes(2, "big")
    return bytes((first,)) + size + payload


def message(at, filler=""):
    told = {"candle": filler, "last_trade_time": (at - TRADED) * 1000, "resume": f"0-1-{at}.token"}
    return json.dumps(told, separators=(",", ":")).encode()


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_each_candle_counts_once_and_pings_are_answered_however_the_bytes_come(step):
    now, delays = time.time_ns() // 1_000_000, []
    reader, transport = Reader(b"{}", delays), Transport()
    reader.connection_made(transport)
    came = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame(0x81, b'{"subscribed":1}')
    came += frame(0x81, message(now - 40)) + frame(0x89, b"beat") + frame(0x81, message(now - 90, "x" * 300))
    asked = len(transport.written)
    for at in range(0, len(came), step):
        reader.data_received(came[at : at + step])
    first, second = delays
    assert 40 <= first[0] < 2000
    assert 90 <= second[0] < 2000
    assert [traded - published for published, traded in delays] == [TRADED] * 2
    assert transport.written[asked:].endswith(b"\x8a\x84\0\0\0\0beat")
