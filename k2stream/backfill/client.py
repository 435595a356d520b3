"""HTTP client of an exchange's REST interface: limits the request rate and retries without end."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from types import TracebackType
from typing import Self

from k2stream import metrics
from k2stream.backoff import Backoff
from k2stream.exchanges.rest.spec import HistoryError, Page, RestHistory, RestRequest
from k2stream.exchanges.spec import Exchange
from k2stream.model.errors import ConfigError
from k2stream.rest.connection import FAILED, RestConnection, said
from k2stream.settings import FeedSettings

log = logging.getLogger(__name__)


class RestClient:
    """Fetches pages of past trades from one exchange; an async context manager."""

    def __init__(self, exchange: str, history: RestHistory, url: str, *, base: float, cap: float) -> None:
        """Retry failed requests after `base` to `cap` seconds, as in Backoff."""
        self.history = history
        self._exchange = exchange
        self._waits = base, cap
        self._connection = RestConnection(url, history.requests_a_second)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def fetch(self, request: RestRequest) -> Page:
        """Return the page of a request, after as many retries as needed.

        Raises HistoryError when the exchange has refused the request for good.
        """
        backoff = Backoff(*self._waits)
        while True:
            try:
                return await self._connection.get(request, partial(self.history.parse, request))
            except FAILED as error:
                wait = backoff.next()
                if isinstance(error, HistoryError):
                    if error.final:
                        raise
                    wait = max(wait, error.retry_after)
                metrics.GAP_FILL_FAILURES.labels(self._exchange).inc()
                where = f"{self._connection.url}{request.path}"
                log.warning("%s: %s: %s; again in %.1f s", self._exchange, where, said(error), wait)
                await asyncio.sleep(wait)


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
