"""Which other sites' pages may read answers."""

from __future__ import annotations

from collections.abc import Collection

from k2stream.service.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from k2stream.service.middleware.headers import header

ANY = "*"

_EXPOSED = b"ETag, Link, Retry-After, X-K2-Missing, X-K2-Next, X-K2-Simulated, X-Request-Id"
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"Authorization, If-None-Match, X-API-Key, X-Request-Id"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]


def with_origins(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Let pages of these origins read answers; `*` stands for all."""
    allowed_origins = {origin.encode() for origin in origins}

    async def shared(scope: Scope, receive: Receive, send: Send) -> None:
        origin = header(scope, b"origin")
        if scope["type"] != "http" or not origin or not allowed_origins & {origin, ANY.encode()}:
            await app(scope, receive, send)
            return
        said = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
            await send({"type": "http.response.start", "status": 204, "headers": [*said, *_PREFLIGHT]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        said.append((b"access-control-expose-headers", _EXPOSED))

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *said]
            await send(message)

        await app(scope, receive, marked)

    return shared
