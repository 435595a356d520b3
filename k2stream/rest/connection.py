"""GET requests to one exchange, at a limited rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from k2stream.exchanges.rest.spec import HistoryError, RestRequest, refusal
from k2stream.rest.bounded import ACCEPTED, body_of

Read = TypeVar("Read")

TIMEOUT_SECONDS = 20.0
MOST_WAIT_SECONDS = 3600.0  # upper limit of Retry-After

FAILED = (HistoryError, httpx.HTTPError, httpx.InvalidURL)
"""What a request may raise."""


class RestConnection:
    """An async context manager; requests wait for their turn, and failed ones are not repeated."""

    def __init__(self, url: str, requests_a_second: float) -> None:
        self.url = url
        self._spacing = 1 / requests_a_second
        self._next = 0.0
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.aclose()

    async def get(self, request: RestRequest, parse: Callable[[bytes], Read]) -> Read:
        """Return the parsed body of the response. Raises HistoryError for an error response, or as httpx."""
        await self._turn()
        if self._http is None:  # created on first use: loading certificates takes a while
            secure = not self.url.startswith("http:")
            self._http = httpx.AsyncClient(
                base_url=self.url, timeout=TIMEOUT_SECONDS, verify=secure, headers=ACCEPTED
            )
        asking = self._http.stream("GET", request.path, params=dict(request.query))
        async with asking as answer:
            try:
                body = await body_of(answer)
                if answer.is_error:
                    raise refusal(answer.status_code, body)
                return parse(body)
            except HistoryError as error:
                error.retry_after = _seconds(answer.headers.get("Retry-After", ""))
                raise

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._spacing
        await asyncio.sleep(turn - now)


def said(error: Exception) -> str:
    """A failed request as text."""
    return str(error) or type(error).__name__


def _seconds(text: str) -> float:
    """Return the seconds to wait; 0 if the header is missing or a date (no exchange here sends a date)."""
    return min(float(text), MOST_WAIT_SECONDS) if text.isascii() and text.isdigit() else 0.0
