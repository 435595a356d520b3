"""Headers of ASGI messages, and refusals before a route is reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec

from k2stream.service.middleware.asgi import Receive, Scope, Send
from k2stream.service.problems import MEDIA_TYPE

Headers = Iterable[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes:
    """A request's header by its name in lower case; empty without it."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    detail: str,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Answer with a problem document; a WebSocket is closed before it opens, with the same answer."""
    title = HTTPStatus(status).phrase
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode()) for name, value in (extra or {}).items()]
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()
        kind = "websocket.http.response"
        if kind not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008, "reason": detail[:120]})
            return
    start: dict[str, object] = {"type": f"{kind}.start", "status": status, "headers": headers}
    await send(start)
    content: dict[str, object] = {"type": f"{kind}.body", "body": body, "more_body": False}
    await send(content)
