"""The worker itself: `/health` and `/metrics`."""

from __future__ import annotations

import msgspec
from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from k2stream.service.parameters import From


class HealthAnswer(msgspec.Struct, frozen=True):
    """Whether this worker answers from its tables: "ok", or "recovering" with status 503."""

    status: str


@get("/health")
async def health(sources: From) -> Response[HealthAnswer]:
    """Whether the worker has its tables: 200, or 503 while they are being recovered."""
    ready = sources.is_ready()
    return Response(HealthAnswer("ok" if ready else "recovering"), status_code=200 if ready else 503)


@get("/metrics", include_in_schema=False)
async def metrics() -> Response[bytes]:
    """The worker's metrics, as Prometheus reads them."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


ROUTES = (health, metrics)
