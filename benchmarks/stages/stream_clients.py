"""Many clients of `/v1/stream` in one process; its arguments are port, clients, seconds, request.

It prints two delays until a revision has arrived, as JSON: from its publication (which its token names, in
ms), and from the time of its last trade, which also has the way to the worker and what revisions wait there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvloop

_CLOCK, _TRADE, _FINAL = b'"resume":"', b'"last_trade_time":', b'"final":true'
_UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


_PING, _PONG = 0x89, 0x8A


def _frame(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """First byte, payload and end of the frame at an offset; None of a frame that is not whole."""
    begin, size = at + 2, data[at + 1] if len(data) > at + 1 else 127
    if size == 126 and len(data) >= at + 4:
        begin, size = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
    elif size >= 126:  # not whole, or longer than any message of this stream
        return None
    end = begin + size
    return (data[at], data[begin:end], end) if len(data) >= end else None


class Reader(asyncio.Protocol):
    """One client, as cheap as can be: it looks for the token of each message."""

    def __init__(self, request: bytes, delays: list[tuple[int, int]]) -> None:
        self._request, self._delays = request, delays
        self._rest = b""
        self._upgraded = self.lost = False

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self._transport = transport
        transport.write(_UPGRADE)

    def _subscribe(self) -> None:
        body = self._request.ljust(126)
        frame = bytes((0x81, 0x80 | 126)) + len(body).to_bytes(2, "big") + bytes(4)
        self._transport.write(frame + body)
        self._upgraded = True

    def data_received(self, data: bytes) -> None:
        """Note the delay of each message with a candle; answer pings, or the server ends the connection."""
        now = time.time_ns() // 1_000_000
        data = self._rest + data
        if not self._upgraded:
            _, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = data
                return
            data = rest
            self._subscribe()
        at = 0
        while (frame := _frame(data, at)) is not None:
            kind, payload, at = frame
            if kind == _PING:
                self._transport.write(bytes((_PONG, 0x80 | len(payload))) + bytes(4) + payload)
            elif b'"candle":' in payload and _FINAL not in payload:
                clock = payload.rpartition(_CLOCK)[2].split(b".", 1)[0].rsplit(b"-", 1)[-1]
                trade = payload.partition(_TRADE)[2].split(b",", 1)[0]
                self._delays.append((now - int(clock), now - int(trade) // 1000))
        self._rest = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        """Note that it ended."""
        self.lost = True


async def main(port: int, clients: int, seconds: float, request: bytes) -> dict[str, Any]:
    """Connect the clients, and measure."""
    delays: list[tuple[int, int]] = []
    loop = asyncio.get_running_loop()
    readers: list[Reader] = []
    for _ in range(clients):
        _, reader = await loop.create_connection(lambda: Reader(request, delays), "127.0.0.1", port)
        readers.append(reader)
    await asyncio.sleep(min(seconds / 4, 5))
    delays.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    published, traded = (sorted(each) for each in zip(*delays, strict=True)) if delays else ([], [])
    return {
        "messages_per_second": round(len(delays) / took),
        "lost": sum(reader.lost for reader in readers),
        "from_publication_ms": _shares(published),
        "from_trade_ms": _shares(traded),
    }


def _shares(found: list[int]) -> dict[str, int]:
    return {f"p{100 * q:g}": found[int(q * (len(found) - 1))] for q in (0.5, 0.99, 0.999) if found}


if __name__ == "__main__":
    arguments = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4].encode()
    print(json.dumps(uvloop.run(main(*arguments))))
