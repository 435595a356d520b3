"""Refuses query parameters that a route does not have: a misspelled one would otherwise change nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

from litestar import Request
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from k2stream.web.query import RequestError


async def known_parameters(request: Request[Any, Any, Any]) -> None:
    """Runs before a request: raises RequestError 400 that lists the route's parameters.

    Not a guard: the framework copies the route for those, and gives each a thread.
    """
    if not request.scope["query_string"]:
        return
    known = parameters_of(request.scope["route_handler"])
    for name in request.query_params:
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
