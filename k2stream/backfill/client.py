"""HTTP client of an exchange's REST interface: limits the request rate and retries without end."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

import httpx

from k2stream import metrics
from k2stream.exchanges.rest.spec import HistoryError, Page, RestHistory, RestRequest, refusal
from k2stream.exchanges.spec import Exchange
from k2stream.feed.backoff import Backoff
from k2stream.model.errors import ConfigError
from k2stream.settings import FeedSettings

log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs one line per request

TIMEOUT_SECONDS = 20.0
MOST_WAIT_SECONDS = 3600.0  # upper limit of Retry-After


class RestClient:
    """Fetches pages of past trades from one exchange; an async context manager."""

    def __init__(self, exchange: str, history: RestHistory, url: str, *, base: float, cap: float) -> None:
        """Retry failed requests after `base` to `cap` seconds, as in Backoff."""
        self.history = history
        self._exchange = exchange
        self._url = url
        self._waits = base, cap
        self._spacing = 1 / history.requests_a_second
        self._next = 0.0
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.aclose()

    async def fetch(self, request: RestRequest) -> Page:
        """Return the page of a request, after as many retries as needed.

        Raises HistoryError when the exchange has refused the request for good.
        """
        backoff = Backoff(*self._waits)
        while True:
            await self._turn()
            try:
                answer = await self._get(request)
                if answer.is_error:
                    raise refusal(answer.status_code, answer.content)
                return self.history.parse(request, answer.content)
            except (HistoryError, httpx.HTTPError, httpx.InvalidURL) as error:
                if isinstance(error, HistoryError) and error.final:
                    raise
                wait = backoff.next()
                if isinstance(error, HistoryError):
                    wait = max(wait, _retry_after(answer.headers.get("Retry-After", "")))
                metrics.GAP_FILL_FAILURES.labels(self._exchange).inc()
                said = str(error) or type(error).__name__
                log.warning(
                    "%s: %s%s: %s; again in %.1f s", self._exchange, self._url, request.path, said, wait
                )
                await asyncio.sleep(wait)

    async def _get(self, request: RestRequest) -> httpx.Response:
        if self._http is None:  # created on first use: loading certificates takes a while
            self._http = httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT_SECONDS)
        return await self._http.get(request.path, params=dict(request.query))

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._spacing
        await asyncio.sleep(turn - now)


def client_of(settings: FeedSettings, exchange: Exchange) -> RestClient:
    """Create a client of an exchange's REST interface. Raises ConfigError when no REST URL is known."""
    name, url = exchange.name, settings.rest_url(exchange.name)
    if exchange.history is None or not url:
        raise ConfigError(
            f"{name}: its feed is not the exchange's own, and the REST URL of its past trades is not known: "
            f"set K2_{name.upper()}_REST_URL"
        )
    waits = {"base": settings.reconnect_base_seconds, "cap": settings.reconnect_cap_seconds}
    return RestClient(name, exchange.history, url, **waits)


def _retry_after(text: str) -> float:
    """Return the seconds to wait; 0 if the header is missing or a date (no exchange here sends a date)."""
    return min(float(text), MOST_WAIT_SECONDS) if text.isascii() and text.isdigit() else 0.0
