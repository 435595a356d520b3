"""One connection's requests: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and properties (pure)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from k2stream.model.errors import UNREADABLE, BadData
from k2stream.service.mirror.errors import MirrorError
from k2stream.service.mirror.names import StreamName

MOST_STREAMS = 1024
MESSAGES_PER_SECOND = 5

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_LISTED = ", ".join(f"`{name}`" for name in _METHODS)
_INVALID = "Invalid request: "

Find = Callable[[str], StreamName | None]
"""The stream of a name, None for one that has nothing to send. Raises MirrorError."""


class _Bad(BadData):
    def __init__(self, code: int, message: str, number: Any = msgspec.UNSET) -> None:
        super().__init__(message)
        self.code, self.number = code, number


class Session:
    """The streams of a connection by name, and whether its messages name their stream (`combined`)."""

    def __init__(self, find: Find, combined: bool) -> None:
        self.streams: dict[str, StreamName | None] = {}
        self.combined = combined
        self._find = find
        self._received: list[float] = []

    def too_fast(self, now: float) -> bool:
        """Count a message at a time in seconds; whether more came within a second than are allowed."""
        self._received = [time for time in self._received if time > now - 1] + [now]
        return len(self._received) > MESSAGES_PER_SECOND

    def open(self, names: list[str]) -> None:
        """Subscribe to the streams that the URL names. Raises MirrorError."""
        self.streams |= {name: self._find(name) for name in names if name}

    def answer(self, text: str | bytes) -> bytes:
        """The answer to a request, which changes the session."""
        try:
            number, result = self._do(text)
            return msgspec.json.encode({"result": result, "id": number})
        except _Bad as error:
            body: dict[str, Any] = {"error": {"code": error.code, "msg": str(error)}}
            return msgspec.json.encode(body if error.number is msgspec.UNSET else body | {"id": error.number})

    def _do(self, text: str | bytes) -> tuple[Any, Any]:
        try:
            request = msgspec.json.decode(text)
        except UNREADABLE as error:
            raise _Bad(3, f"Invalid JSON: {error}") from None
        if not isinstance(request, dict) or "method" not in request:
            raise _Bad(2, f"{_INVALID}missing field `method`")
        number = request.get("id")
        if not (number is None or type(number) is int or (type(number) is str and len(number) <= 36)):
            raise _Bad(2, f"{_INVALID}request ID must be an unsigned integer")
        if request["method"] not in _METHODS:
            raise _Bad(2, f"{_INVALID}unknown variant {request['method']}, expected one of {_LISTED}", number)
        return number, self._result(request["method"], request.get("params", []), number)

    def _result(self, method: str, params: Any, number: Any) -> Any:
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.streams)
        if not isinstance(params, list) or not params:
            raise _Bad(2, f"{_INVALID}params must be an array of strings", number)
        if method.endswith("_PROPERTY"):
            return self._property(method, params, number)
        if not all(isinstance(name, str) for name in params):
            raise _Bad(2, f"{_INVALID}params must be an array of strings", number)
        if method == "UNSUBSCRIBE":
            for name in params:
                self.streams.pop(name, None)
            return None
        try:
            found = {name: self._find(name) for name in params}
        except MirrorError as error:
            raise _Bad(2, str(error), number) from None
        if len(self.streams | found) > MOST_STREAMS:
            raise _Bad(2, f"{_INVALID}too many streams, at most {MOST_STREAMS}", number)
        self.streams |= found
        return None

    def _property(self, method: str, params: list[Any], number: Any) -> Any:
        if params[0] != "combined":
            raise _Bad(0, "Unknown property", number)
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) != 2 or type(params[1]) is not bool:
            raise _Bad(1, "Invalid value type: expected Boolean", number)
        self.combined = params[1]
        return None
