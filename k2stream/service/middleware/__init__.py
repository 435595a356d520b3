"""What every request passes on its way to a route, outermost first; each layer is plain ASGI."""

from __future__ import annotations

from k2stream.service.middleware.access import with_access
from k2stream.service.middleware.asgi import ASGIApp
from k2stream.service.middleware.content import with_content
from k2stream.service.middleware.cors import with_origins
from k2stream.service.middleware.limits import with_limits
from k2stream.service.middleware.protocols import with_protocol
from k2stream.service.middleware.requests import with_ids
from k2stream.settings import ServiceSettings


def wrapped(app: ASGIApp, settings: ServiceSettings) -> ASGIApp:
    """The application behind request ids and metrics, limits, CORS, keys and rates, and content coding."""
    app = with_protocol(with_content(app))
    if settings.keys or settings.rate:
        app = with_access(app, settings.key_digests, settings.rate)
    if settings.origins:
        app = with_origins(app, settings.origin_names)
    return with_ids(with_limits(app))
