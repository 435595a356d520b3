"""Refusals as RFC 9457 problem documents, which say what is possible instead."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from k2stream.web.query import RequestError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """An RFC 9457 problem document; members beyond these say what would be accepted."""

    title: str
    """The HTTP status in words."""
    status: int
    detail: str
    """What is wrong, and what to do."""
    type: str = "about:blank"


def problem(status: int, detail: str, **known: object) -> Response[dict[str, Any]]:
    """A problem document as a response; `known` are further members."""
    title = HTTPStatus(status).phrase
    body = {**known, "type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def refused(_: Request[Any, Any, Any], error: RequestError) -> Response[dict[str, Any]]:
    """The problem of a refused request."""
    known = {name: value for name, value in error.body.items() if name != "error"}
    return problem(error.status, str(error), **known)


def malformed(_: Request[Any, Any, Any], error: ValidationException) -> Response[dict[str, Any]]:
    """The problem of parameters that are not what the OpenAPI document says."""
    extra = error.extra if isinstance(error.extra, list) else []
    named = [f"{item['key']}: {item['message']}" for item in extra if "key" in item]
    return problem(400, "; ".join(named) or error.detail)


def failed(_: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """The problem of an error that the framework raises: an unknown path, a method that is not allowed."""
    response = problem(error.status_code, error.detail or HTTPStatus(error.status_code).phrase)
    response.headers.update(error.headers or {})
    return response


def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """The problem of a fault of ours: one line in the log, nothing of it in the answer."""
    reason = " ".join(str(error).split())[:200]
    asked = f"{request.method} {request.url.path}"[:200]
    number = request.scope.get("request_id", "")
    logger.error("%s (%s) failed: %s: %s", asked, number, type(error).__name__, reason)
    return problem(500, "the service could not answer; its log has the reason")


HANDLERS: dict[int | type[Exception], Any] = {
    RequestError: refused,
    ValidationException: malformed,
    HTTPException: failed,
    Exception: unexpected,
}
"""Exception handlers of the application."""
