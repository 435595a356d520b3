"""Table look-ups, answered where their request arrives: without a task, the middlewares and the framework.

Only plain requests for known URLs (prepared.py) that the tables answer at once; all else, and every refusal,
is the application's. The bytes are those that the application would have sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from time import perf_counter

from k2stream.service.middleware.asgi import Scope
from k2stream.service.middleware.content import LEAST_BYTES, NO_CACHE, tag_of
from k2stream.service.middleware.requests import REQUEST_ID, counted_answer, new_id
from k2stream.service.prepared import Prepared, PreparedUrls

PLAIN = frozenset((b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection"))
"""Headers that change nothing in a short answer, on a connection that stays open."""


MOST, LONGEST = 10_000, 1_024
"""How many requests are known by their bytes, those that came lately; longer ones are not, in bytes."""


class DirectAnswers:
    """Answers requests at once, of a service that asks for no keys and limits no rate."""

    def __init__(self, urls: PreparedUrls) -> None:
        self._urls = urls
        self._requests: OrderedDict[bytes, Prepared] = OrderedDict()

    def find(self, scope: Scope) -> Prepared | None:
        """What a plain request asks for; None: ask the application."""
        if scope["method"] != "GET" or not PLAIN.issuperset([name for name, _ in scope["headers"]]):
            return None
        return self._urls.find(scope)

    def again(self, request: bytes) -> Prepared | None:
        """What a whole request asks for that came before, byte for byte: it need not be parsed."""
        if (found := self._requests.get(request)) is not None:
            self._requests.move_to_end(request)
        return found

    def keep(self, request: bytes, found: Prepared) -> None:
        """Know a whole plain request by its bytes."""
        if len(request) <= LONGEST:
            self._requests[request] = found
            if len(self._requests) > MOST:
                self._requests.popitem(last=False)

    def answer(self, found: Prepared, default: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """A whole response, which begins with the server's default headers; None: ask the application."""
        started = perf_counter()
        try:
            answer = found.parsed.at_once()
        except Exception:  # the application says what it is
            return None
        if answer is None or len(answer.body) >= LEAST_BYTES:
            return None
        pairs = [*default, *answer.pairs, (b"etag", tag_of(answer.body)), NO_CACHE, (REQUEST_ID, new_id())]
        head = b"".join([b"%b: %b\r\n" % pair for pair in pairs])
        counted_answer(found.template, 200, perf_counter() - started)
        return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (head, answer.body)
