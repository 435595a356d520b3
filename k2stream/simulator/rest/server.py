"""The REST server of a simulated exchange, with a rate limit and injected unavailability."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from k2stream.simulator.http import Http
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.answers import RestAnswer
from k2stream.simulator.rest.past import PastOrders

WINDOW_SECONDS = 5.0


class Rest(Http):
    """Serves one exchange's past trades."""

    def __init__(self, protocol: Protocol, past: PastOrders) -> None:
        self.requests = 0
        self._past = past
        self._protocol = protocol
        self._recent: deque[float] = deque()
        self._fail_until = 0.0
        super().__init__(web.get(path, self._handler(answer)) for path, answer in protocol.routes.items())

    def fail(self, seconds: float) -> None:
        """Answer 503 for this many seconds."""
        self._fail_until = time.monotonic() + seconds

    def _handler(self, answer: Callable[[PastOrders, Mapping[str, str]], RestAnswer]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            now = time.monotonic()
            self.requests += 1
            if now < self._fail_until:
                return web.Response(status=503, text="simulated: no answers\n")
            while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= self._protocol.requests:
                wait = math.ceil(self._recent[0] + WINDOW_SECONDS - now)
                return _response(self._protocol.too_many, {"Retry-After": str(wait)})
            self._recent.append(now)
            try:
                return _response(answer(self._past, {**request.query, **request.match_info}))
            except (KeyError, ValueError) as error:
                return web.json_response({"message": f"simulated: {error!r}"}, status=400)

        return handle


def _response(answer: RestAnswer, headers: Mapping[str, str] | None = None) -> web.Response:
    kind = "application/json"
    return web.Response(status=answer.status, text=answer.text, content_type=kind, headers=headers)
