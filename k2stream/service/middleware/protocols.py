"""Subprotocols of WebSockets: how a browser, which cannot set headers there, sends a key."""

from __future__ import annotations

from base64 import urlsafe_b64decode

from k2stream.service.middleware.asgi import ASGIApp, Message, Receive, Scope, Send

PROTOCOL = "k2"
"""Agreed on where it is offered: a browser that offers any wants an answer, and the key is no answer."""

KEY = "k2.key."
"""How the subprotocol that is a key begins; its UTF-8 follows as unpadded base64url."""


def with_protocol(app: ASGIApp) -> ASGIApp:
    """Accept the WebSockets that offer it with PROTOCOL."""

    async def agreed(scope: Scope, receive: Receive, send: Send) -> None:
        if PROTOCOL not in scope.get("subprotocols", ()):
            await app(scope, receive, send)
            return

        async def named(message: Message) -> None:
            accepted = message["type"] == "websocket.accept"
            await send({**message, "subprotocol": PROTOCOL} if accepted else message)

        await app(scope, receive, named)

    return agreed


def offered_key(scope: Scope) -> bytes:
    """The key among the subprotocols that a WebSocket offers; empty without one."""
    for name in scope.get("subprotocols", ()):
        if name.startswith(KEY):
            text = name.removeprefix(KEY).encode()
            try:
                return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
            except ValueError:
                return b""
    return b""
