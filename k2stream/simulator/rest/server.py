"""The REST server of a simulated exchange, with a rate limit and injected unavailability."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from k2stream.simulator.faults import Fault, FaultKind
from k2stream.simulator.http import Http
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.answers import RestAnswer
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders

WINDOW_SECONDS = 5.0


class Rest(Http):
    """Serves one exchange's past trades and klines."""

    def __init__(self, protocol: Protocol, past: PastOrders, klines: PastKlines) -> None:
        self.requests = 0
        self._protocol = protocol
        self._recent: deque[float] = deque()
        self._until = {FaultKind.REST: 0.0, FaultKind.TOO_MANY: 0.0}
        self._slow, self._slow_seconds = 0, 0.0
        answers = {path: partial(answer, past) for path, answer in protocol.routes.items()}
        answers |= {path: partial(answer, klines) for path, answer in protocol.klines.items()}
        super().__init__(web.get(path, self._handler(answer)) for path, answer in answers.items())

    def disturb(self, fault: Fault) -> None:
        """Inject a fault of kind REST, TOO_MANY or SLOW."""
        if fault.kind in self._until:
            self._until[fault.kind] = time.monotonic() + fault.seconds
        else:
            self._slow, self._slow_seconds = self._slow + fault.count, fault.seconds

    def _handler(self, answer: Callable[[Mapping[str, str]], RestAnswer]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            now = time.monotonic()
            self.requests += 1
            if self._slow:
                self._slow -= 1
                await asyncio.sleep(self._slow_seconds)
            if now < self._until[FaultKind.REST]:
                return web.Response(status=503, text="simulated: no answers\n")
            if now < (until := self._until[FaultKind.TOO_MANY]):
                return _response(self._protocol.too_many, {"Retry-After": str(math.ceil(until - now))})
            while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= self._protocol.requests:
                wait = math.ceil(self._recent[0] + WINDOW_SECONDS - now)
                return _response(self._protocol.too_many, {"Retry-After": str(wait)})
            self._recent.append(now)
            try:
                return _response(answer({**request.query, **request.match_info}))
            except (KeyError, ValueError) as error:
                return web.json_response({"message": f"simulated: {error!r}"}, status=400)

        return handle


def _response(answer: RestAnswer, headers: Mapping[str, str] | None = None) -> web.Response:
    kind = "application/json"
    return web.Response(status=answer.status, text=answer.text, content_type=kind, headers=headers)
