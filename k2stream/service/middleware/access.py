"""Who may ask, and how often."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from time import monotonic

from k2stream.service.middleware.asgi import ASGIApp, Receive, Scope, Send
from k2stream.service.middleware.headers import header, refuse
from k2stream.service.middleware.protocols import offered_key

OPEN = ("/health", "/docs", "/page/")
"""Paths that need no key: they have no data."""

MOST_CLIENTS = 10_000
"""Clients whose rate is remembered; the one that was longest silent is forgotten."""

_UNKNOWN = (
    "a key is needed: send it as `X-API-Key` or as `Authorization: Bearer`; docs/rest.md says how browsers "
    "send it with a WebSocket"
)


class Rates:
    """A token bucket per client: `rate` requests per second, and as many at once."""

    def __init__(self, rate: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = max(rate, 1.0)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take one request; returns 0, or after how many seconds the client may ask again."""
        now = self._clock()
        left, at = self._buckets.pop(client, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


def with_access(app: ASGIApp, digests: Sequence[str], rate: float) -> ASGIApp:
    """Refuse requests without a key whose SHA-256 is listed (401), and clients above the rate (429)."""
    rates = Rates(rate) if rate else None

    async def allowed(scope: Scope, receive: Receive, send: Send) -> None:
        client = (scope.get("client") or ("",))[0]
        if digests and not (scope["path"] == "/" or scope["path"].startswith(OPEN)):
            digest = sha256(_key(scope)).hexdigest()
            # All are compared, so that the time says nothing of which one is nearly right.
            if not sum([hmac.compare_digest(digest, known) for known in digests]):
                await refuse(scope, receive, send, 401, _UNKNOWN, {"WWW-Authenticate": "Bearer"})
                return
            client = digest
        if rates is not None and (wait := rates.take(client)):
            detail = f"more than {rate:g} requests per second: ask again in {wait:.2f} s"
            await refuse(scope, receive, send, 429, detail, {"Retry-After": str(int(wait) + 1)})
            return
        await app(scope, receive, send)

    return allowed


def _key(scope: Scope) -> bytes:
    given = header(scope, b"authorization")
    if given[:7].lower() == b"bearer ":
        return given[7:]
    return header(scope, b"x-api-key") or offered_key(scope)
