"""Refuses query parameters that a route does not have: a misspelled one would otherwise change nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from k2stream.web.query import RequestError


def known_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: raises RequestError 400 that lists the route's parameters."""
    if not connection.scope["query_string"]:
        return
    known = parameters_of(handler)
    for name in connection.query_params:
        if name not in known:
            raise RequestError(400, f"{name} is not a parameter", parameters=list(known))


@cache
def parameters_of(handler: BaseRouteHandler) -> tuple[str, ...]:
    """The names of a route's query parameters, in their order."""
    fields = handler.parsed_fn_signature.parameters.items()
    return tuple(
        field.kwarg_definition.name or name
        for name, field in fields
        if isinstance(field.kwarg_definition, QueryParameter)
    )
