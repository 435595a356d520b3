"""The OpenAPI document: what the routes say of themselves, with examples and the answers of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Response, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from k2stream.service.formats import ARROW, CSV, JSON
from k2stream.service.middleware import access

DESCRIPTION = """Exact trades and candles. Decimals are strings with all their digits; times are ms since 1970
UTC unless they say µs. A refusal is a problem document (RFC 9457) that says what is possible instead."""

REFUSALS = {
    "400": "A parameter is not what it must be.",
    "401": "A key is needed (`K2_SERVICE_KEYS`).",
    "404": "There is no such exchange, symbol, timeframe or path.",
    "414": "The URL is too long.",
    "429": "More requests per second than the setting `K2_SERVICE_RATE` allows.",
    "500": "The service failed; its log has the reason, by the X-Request-Id.",
    "502": "Another worker does not answer.",
    "503": "Tables are being recovered, or a store does not answer: ask again.",
}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457; further members say what would be accepted.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "The HTTP status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
    },
    "additionalProperties": True,
}

SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


@cache
def examples() -> dict[str, Any]:
    """Examples by path: values of its parameters, and an answer; taken from a running platform."""
    text = resources.files("k2stream.service").joinpath("assets", "examples.json").read_bytes()
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def document(routes: Sequence[ControllerRouterHandler], *, keys: bool = False) -> dict[str, Any]:
    """The document of some routes; `keys` whether clients need one."""
    config = OpenAPIConfig(title="K2 stream", version=version("k2stream"), use_handler_docstrings=True)
    sources = Provide(lambda: None, sync_to_thread=False)
    described = Litestar(routes, dependencies={"sources": sources}, openapi_config=config)
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described.openapi_schema.to_schema()))
    found["info"] = {"title": "K2 stream", "version": version("k2stream"), "description": DESCRIPTION}
    components = found.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    if keys:
        components["securitySchemes"] = SECURITY
        found["security"] = [{name: []} for name in SECURITY]
    for path, item in found["paths"].items():
        for operation in item.values():
            _complete(operation, examples().get(path, {}))
            if keys and path.startswith(access.OPEN):
                operation["security"] = []
    return found


def _complete(operation: dict[str, Any], example: dict[str, Any]) -> None:
    given = example.get("parameters", {})
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in given:
            parameter["example"] = given[parameter["name"]]
    responses = operation["responses"]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "format":
            _add_formats(responses["200"]["content"], parameter["schema"].get("enum", ()))
    if "answer" in example:
        responses["200"]["content"][JSON]["example"] = example["answer"]
    responses.update({status: _refusal(status, said) for status, said in REFUSALS.items()})


def _add_formats(content: dict[str, Any], names: Sequence[str]) -> None:
    if "ccxt" in names:
        arrays = {"type": "array", "items": {"type": "array"}, "description": "Kline arrays."}
        content[JSON]["schema"] = {"anyOf": [content[JSON]["schema"], arrays]}
    if "csv" in names:
        content[CSV] = {"schema": {"type": "string"}}
    content[ARROW] = {"schema": {"type": "string", "format": "binary"}}


def _refusal(status: str, description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    content: dict[str, Any] = {"schema": schema}
    if status in (problems := examples().get("problems", {})):
        content["example"] = problems[status]
    return {"description": description, "content": {"application/problem+json": content}}


def handler(routes: Sequence[ControllerRouterHandler], *, keys: bool) -> HTTPRouteHandler:
    """A route that answers with the document of some routes; it is made when it is first asked for."""

    @cache
    def made() -> bytes:
        return msgspec.json.encode(document(routes, keys=keys))

    @get("/docs/openapi.json", include_in_schema=False)
    async def openapi() -> Response[bytes]:
        """The OpenAPI 3.1 document."""
        return Response(made(), media_type="application/vnd.oai.openapi+json")

    return openapi
