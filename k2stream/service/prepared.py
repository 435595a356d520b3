"""URLs that were asked for before: answered by what their route does, without parsing them again.

A route that answers from nothing but its URL says so (`prepare`) when it has answered. From then on, the same
URL is answered by the same function, with the tables as they are then. A refusal is the application's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from k2stream.service.middleware.asgi import ASGIApp, Receive, Scope, Send

MOST, LONGEST = 10_000, 256
"""How many URLs are known, those that were asked for lately; longer ones are not, in characters."""

_PREPARED = "k2.prepared"


class WholeAnswer(NamedTuple):
    """An answer with status 200, with all headers that are of its content but the length."""

    body: bytes
    headers: Mapping[str, str]

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI has them."""
        found = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        found.append((b"content-length", b"%d" % len(self.body)))
        return found


class Parsed(Protocol):
    """What a URL asks for."""

    async def answer(self) -> WholeAnswer:
        """The answer now. Raises whatever its route raises."""
        ...

    def at_once(self) -> WholeAnswer | None:
        """The same where nothing has to be waited for, and it is short; else None."""
        ...


class Prepared(NamedTuple):
    """What a URL asks for, and the template of its path, for metrics."""

    parsed: Parsed
    template: str


class PreparedUrls:
    """The URLs that are known, by path and query."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], Prepared] = OrderedDict()

    def find(self, scope: Scope) -> Prepared | None:
        """What a request's URL asks for; None if it is not known."""
        url = scope["path"], scope["query_string"]
        if (found := self._known.get(url)) is not None:
            self._known.move_to_end(url)
        return found

    def keep(self, scope: Scope) -> None:
        """Know the URL of a request that was answered, if its route says what it asks for."""
        parsed, url = scope.get(_PREPARED), (scope["path"], scope["query_string"])
        if parsed is not None and len(url[0]) + len(url[1]) <= LONGEST:
            self._known[url] = Prepared(parsed, scope["path_template"])
            if len(self._known) > MOST:
                self._known.popitem(last=False)


def prepare(scope: Any, parsed: Parsed) -> None:
    """Say what the URL of a request, by its ASGI scope, asks for."""
    scope[_PREPARED] = parsed


def with_prepared(app: ASGIApp, urls: PreparedUrls) -> ASGIApp:
    """Answer GET of the URLs that are known; the application answers all else."""

    async def prepared(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await app(scope, receive, send)
            return
        if (found := urls.find(scope)) is not None and (answer := await _answered(found)) is not None:
            scope["path_template"] = found.template
            await send({"type": "http.response.start", "status": 200, "headers": answer.pairs})
            await send({"type": "http.response.body", "body": answer.body, "more_body": False})
            return
        await app(scope, receive, send)
        urls.keep(scope)

    return prepared


async def _answered(found: Prepared) -> WholeAnswer | None:
    """The answer; None if it is refused, or fails: the application then says so."""
    try:
        return await found.parsed.answer()
    except Exception:
        return None
