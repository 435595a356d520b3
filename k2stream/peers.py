"""Requests between workers: who may ask a worker, and how it asks the others."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from k2stream.settings import WorkerSettings
from k2stream.settings.kinds import bearer
from k2stream.settings.tls import server_context

OPEN = ("/health",)
"""Paths that need no key: supervisors ask for them, and they have no data."""

_REFUSAL = "a key is needed, that of K2_WEB_KEY: send it as `Authorization: Bearer`"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def web_options(settings: WorkerSettings, port: int) -> dict[str, Any]:
    """Keyword arguments of a Faust app: its own web server, and its client for those of other workers."""
    return {
        "web_host": settings.web_host,
        "web_bind": settings.web_bind,
        "web_port": port,
        "web_ssl_context": server_context(settings.web_tls),
        "web_application_options": {"middlewares": [_with_key(settings.web_key)] if settings.web_key else []},
        "canonical_url": f"{settings.web_scheme}://{settings.web_host}:{port}",
        "HttpClient": lambda: _client(settings),
    }


def allowed(key: str, path: str, authorization: str) -> bool:
    """Whether a path may be read with a header `Authorization`; anything may without a key."""
    wanted = bearer(key).get("Authorization", "")
    return not key or path in OPEN or hmac.compare_digest(authorization.encode(), wanted.encode())


def _client(settings: WorkerSettings) -> aiohttp.ClientSession:
    """For other workers only: whatever it asks is shown the key."""
    connector = aiohttp.TCPConnector(ssl=settings.web_connection["verify"])
    return aiohttp.ClientSession(connector=connector, headers=bearer(settings.web_key))


def _with_key(key: str) -> Any:
    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse requests without the key."""
        if allowed(key, request.path, request.headers.get("Authorization", "")):
            return await handler(request)
        return web.json_response({"error": _REFUSAL}, status=401, headers={"WWW-Authenticate": "Bearer"})

    return checked
