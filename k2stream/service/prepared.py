"""URLs that were asked for before: answered by what their route does, without parsing them again.

A route that answers from nothing but its URL says so (`prepare`) when it has answered. From then on, the same
URL is answered by the same function, with the tables as they are then. A refusal is the application's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from k2stream.service.middleware.asgi import ASGIApp, Receive, Scope, Send

MOST, LONGEST = 10_000, 256
"""How many URLs are known, those that were asked for lately; longer ones are not, in characters."""

_PREPARED = "k2.prepared"


class WholeAnswer(NamedTuple):
    """An answer with status 200, with all of its headers but the length."""

    body: bytes
    headers: Mapping[str, str]


Answering: TypeAlias = Callable[[], Awaitable[WholeAnswer]]


class Prepared(NamedTuple):
    """How a URL is answered, and the template of its path, for metrics."""

    answering: Answering
    template: str


def prepare(scope: Any, answering: Answering) -> None:
    """Let the URL of a request, by its ASGI scope, be answered by a function from now on."""
    scope[_PREPARED] = answering


def with_prepared(app: ASGIApp) -> ASGIApp:
    """Answer GET of the URLs that are known; the application answers all else."""
    known: OrderedDict[tuple[str, bytes], Prepared] = OrderedDict()

    async def prepared(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await app(scope, receive, send)
            return
        url = scope["path"], scope["query_string"]
        if (found := known.get(url)) is not None:
            known.move_to_end(url)
            if (answer := await _answered(found)) is not None:
                scope["path_template"] = found.template
                await _send(answer, send)
                return
        await app(scope, receive, send)
        made = scope.get(_PREPARED)
        if made is not None and len(url[0]) + len(url[1]) <= LONGEST:
            known[url] = Prepared(made, scope["path_template"])
            if len(known) > MOST:
                known.popitem(last=False)

    return prepared


async def _answered(found: Prepared) -> WholeAnswer | None:
    """The answer; None if it is refused, or fails: the application then says so."""
    try:
        return await found.answering()
    except Exception:
        return None


async def _send(answer: WholeAnswer, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
