"""Look-ups at a fixed rate; its arguments are port, connections, rate, seconds, instruments file.

Keys are uniform over all symbols and stored timeframes. A latency counts from when a request was due, not
from when a connection was free for it. It prints percentiles in ms as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter, deque
from itertools import count
from typing import Any

import uvloop

from k2stream import instruments
from k2stream.model.candle import TIMEFRAMES
from k2stream.web.query import url_name

_END, _LENGTH = b"\r\n\r\n", b"content-length: "
_TICK_SECONDS, _LAST_SECONDS = 0.001, 2.0


class Connection(asyncio.Protocol):
    """One connection with one request at a time; `latencies` are seconds from when each was due."""

    def __init__(self, latencies: list[float], statuses: Counter[bytes]) -> None:
        self.waiting: deque[tuple[float, bytes]] = deque()
        self._latencies, self._statuses = latencies, statuses
        self._due: float | None = None
        self._held = b""

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def ask(self, due: float, request: bytes) -> None:
        """Send a request, or let it wait until the one before is answered."""
        self.waiting.append((due, request))
        if self._due is None:
            self._next()

    def _next(self) -> None:
        self._due = None
        if self.waiting:
            self._due, request = self.waiting.popleft()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Note the latency of a whole answer."""
        self._held += data
        head, found, body = self._held.partition(_END)
        if not found or self._due is None:
            return
        length = int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._held = body[length:]
            self._latencies.append(time.perf_counter() - self._due)
            self._statuses[head[9:12]] += 1
            self._next()


async def main(port: int, connections: int, rate: int, seconds: float, file: str) -> dict[str, Any]:
    """Ask, and measure all but the first tenth."""
    made = random.Random(7)
    paths = [
        f"/v1/ohlcv/{item.exchange}/{url_name(item)}/{name}?limit=1"
        for item in instruments.load(file)
        for name in TIMEFRAMES
    ]
    requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]
    latencies: list[float] = []
    statuses: Counter[bytes] = Counter()
    loop = asyncio.get_running_loop()
    opened = []
    for _ in range(connections):
        _, each = await loop.create_connection(lambda: Connection(latencies, statuses), "127.0.0.1", port)
        opened.append(each)
    began = time.perf_counter()
    numbers = count()
    due = began
    while due < began + seconds:
        while due <= time.perf_counter():
            number = next(numbers)
            opened[number % connections].ask(due, made.choice(requests))
            due = began + (number + 1) / rate
        await asyncio.sleep(_TICK_SECONDS)
    await asyncio.sleep(_LAST_SECONDS)
    sent = next(numbers)
    kept = sorted(latencies[len(latencies) // 10 :])
    share = {f"p{100 * q:g}": round(1000 * kept[int(q * (len(kept) - 1))], 2) for q in (0.5, 0.99, 0.999)}
    answered = {status.decode(): number for status, number in statuses.items()}
    rest = {"unanswered": sent - len(latencies), "statuses": answered}
    return {"requests_per_second": round(len(latencies) / seconds), **rest, "latency_ms": share}


if __name__ == "__main__":
    port, connections, rate, seconds, file = sys.argv[1:]
    print(json.dumps(uvloop.run(main(int(port), int(connections), int(rate), float(seconds), file))))
