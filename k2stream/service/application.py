"""The ASGI application: its routes, the OpenAPI document, and how errors are answered."""

from __future__ import annotations

import re
from urllib.parse import unquote

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp, Receive, Scope, Send

from k2stream.service import (
    candles,
    certificates,
    document,
    earlier,
    feeds,
    late,
    page,
    problems,
    process,
    quality,
    reference,
    status,
    symbols,
    trade_pages,
    udf,
)
from k2stream.service.direct import DirectAnswers
from k2stream.service.middleware import wrapped
from k2stream.service.mirror import routes as mirror
from k2stream.service.prepared import PreparedUrls, with_prepared
from k2stream.service.sources import Sources
from k2stream.service.stream import routes as stream
from k2stream.service.stream.hub import Hub
from k2stream.service.strict import known_parameters

STRICT = (
    *candles.ROUTES,
    *certificates.ROUTES,
    *trade_pages.ROUTES,
    *symbols.ROUTES,
    *feeds.ROUTES,
    *quality.ROUTES,
    *late.ROUTES,
    *status.ROUTES,
    *process.ROUTES,
)
"""Routes that refuse a parameter that they do not have."""

ROUTES = (
    Router("/", before_request=known_parameters, route_handlers=STRICT),
    *earlier.ROUTES,
    *udf.ROUTES,
    *page.ROUTES,
)

_SLASH = re.compile(rb"%2f", re.IGNORECASE)


class Service:
    """The ASGI application, and the shorter way that its server may take (None: there is none)."""

    def __init__(self, app: ASGIApp, direct: DirectAnswers | None) -> None:
        self._app, self.direct = app, direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)


def create(sources: Sources, streams: Hub | None = None) -> Service:
    """The application that answers from the sources, and pushes what `streams` follow."""
    app = Litestar(
        (
            *ROUTES,
            *(stream.ROUTES if streams else ()),
            *reference.ROUTES,
            document.handler(ROUTES, keys=bool(sources.settings.service.keys)),
            *mirror.routes(sources, streams),
        ),
        dependencies={"sources": Provide(lambda: sources, sync_to_thread=False)},
        exception_handlers=problems.HANDLERS,
        openapi_config=None,
        state=State({"sources": sources, "streams": streams}),
        logging_config=None,
    )
    urls, settings = PreparedUrls(), sources.settings.service
    served = wrapped(_with_slashes(with_prepared(app, urls)), settings)
    return Service(served, None if settings.keys or settings.rate else DirectAnswers(urls))


def _with_slashes(app: ASGIApp) -> ASGIApp:
    """Accept BTC%2FUSDT in a path: it is read as BTC-USDT, for a decoded slash would end the segment."""

    async def normalized(scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        if isinstance(raw, bytes) and _SLASH.search(raw):
            scope["path"] = unquote(_SLASH.sub(b"-", raw).decode("ascii", "replace"))
        await app(scope, receive, send)

    return normalized
