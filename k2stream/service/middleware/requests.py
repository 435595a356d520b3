"""An id for each request, and metrics of how it was answered."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import cache
from itertools import count
from time import perf_counter

from k2stream import metrics
from k2stream.service.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from k2stream.service.middleware.headers import header

REQUEST_ID = b"x-request-id"

_GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ELSEWHERE = "none"
"""In metrics, in place of a route: the path has none."""


_process, _numbers = secrets.token_hex(4), count()


def new_id() -> bytes:
    """The id of a request that has none."""
    return f"{_process}-{next(_numbers):x}".encode()


def counted_answer(route: str, status: int, seconds: float) -> None:
    """Count an answer of a route."""
    counter, histogram = _measures(route, status)
    counter()
    histogram(seconds)


def with_ids(app: ASGIApp) -> ASGIApp:
    """Answer with the X-Request-Id of the request, or a new one; count the answer."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        given = header(scope, REQUEST_ID)
        request_id = given if _GIVEN.fullmatch(given) else new_id()
        scope["request_id"] = request_id.decode()
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        status, started = 500, perf_counter()

        async def identified(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id)]
            await send(message)

        try:
            await app(scope, receive, identified)
        finally:
            route = str(scope.get("path_template") or _ELSEWHERE)
            counted_answer(route, status, perf_counter() - started)

    return counted


@cache
def _measures(route: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    return metrics.HTTP_REQUESTS.labels(route, status).inc, metrics.HTTP_SECONDS.labels(route).observe
