"""How long a URL and a body may be."""

from __future__ import annotations

from k2stream.service.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from k2stream.service.middleware.headers import header, refuse

LONGEST_URL, LONGEST_BODY = 8_192, 65_536
"""In bytes."""


def with_limits(app: ASGIApp) -> ASGIApp:
    """Refuse longer URLs and bodies with a problem document, 414 and 413."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        length = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
        if length > LONGEST_URL:
            detail = f"the URL has {length} bytes: at most {LONGEST_URL} are read"
            await refuse(scope, receive, send, 414, detail)
            return
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await app(scope, receive, send)
            return
        declared = header(scope, b"content-length")
        if declared.isdigit() and int(declared[:12]) > LONGEST_BODY:
            await refuse(scope, receive, send, 413, f"the body is too long: at most {LONGEST_BODY} bytes")
            return
        await app(scope, _bounded(receive), send)

    return limited


def _bounded(receive: Receive) -> Receive:
    """Ends a body of undeclared length at the limit."""
    left = LONGEST_BODY

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] == "http.request":
            left -= len(message["body"])
            if left < 0:
                return {"type": "http.disconnect"}
        return message

    return bounded
