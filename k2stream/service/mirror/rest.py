"""`/api/v3/…` of one exchange at the root, and of each exchange under its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import HttpMethod, Request, Response, get, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from k2stream.model import clock
from k2stream.service.mirror.endpoints import ENDPOINTS, Call, Endpoint
from k2stream.service.mirror.errors import refusal, unsupported
from k2stream.service.mirror.listing import listing
from k2stream.service.mirror.parameters import Parameters
from k2stream.service.mirror.root import ROOT
from k2stream.service.mirror.weights import Weights
from k2stream.service.parameters import From
from k2stream.topics import EXCHANGES

MEDIA_TYPE = "application/json;charset=UTF-8"

_METHODS = (HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE)


def now_ms() -> int:
    """The time in ms since 1970."""
    return clock.now_us() // 1000


def handler() -> HTTPRouteHandler:
    """The handler of all endpoints, with weights of its own."""
    weights = Weights(now_ms)

    @route(
        ["/api/v3/{path:path}", "/{exchange:str}/api/v3/{path:path}"],
        http_method=list(_METHODS),
        status_code=200,
        include_in_schema=False,
    )
    async def mirror(
        request: Request[Any, Any, Any], sources: From, path: FromPath[str], exchange: FromPath[str] = ROOT
    ) -> Response[Any]:
        client = request.client.host if request.client else ""
        query = request.query_params
        try:
            endpoint = find(request.method, exchange, path.strip("/"))
            weights.add(client, endpoint.weight(symbols(query)))
            sent = Parameters(query.multi_items(), endpoint.known)
            body, status, headers = await endpoint.answer(Call(sources, exchange, sent, now_ms())), 200, {}
        except Exception as error:
            refused = refusal(error, f"{request.method} {request.url.path}")
            body, status, headers = refused.body, refused.status, refused.headers
        return Response(
            body, status_code=status, media_type=MEDIA_TYPE, headers=headers | weights.headers(client)
        )

    return mirror


_MARKETS = ("/fapi", "/dapi", "/{exchange:str}/fapi", "/{exchange:str}/dapi")


@get([f"{market}/v1/exchangeInfo" for market in _MARKETS], include_in_schema=False)
async def derivatives(exchange: FromPath[str] = ROOT) -> dict[str, Any]:
    """No derivatives: clients of all markets ask for them, too."""
    return listing([], now_ms())


def find(method: str, exchange: str, path: str) -> Endpoint:
    """The endpoint of a request. Raises MirrorError."""
    if exchange not in EXCHANGES:
        raise unsupported(f"There is no exchange {exchange} here: use {', '.join(EXCHANGES)}.", 404)
    endpoint = ENDPOINTS.get(path)
    if endpoint is None or method != HttpMethod.GET:
        raise unsupported("K2 serves market data: it has no orders and no accounts.")
    return endpoint


def symbols(query: Mapping[str, str]) -> int | None:
    """How many symbols a request names, on which its weight depends; None: all."""
    if "symbols" in query:
        return query["symbols"].count('"') // 2
    return 1 if "symbol" in query else None
