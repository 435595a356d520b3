"""How an answer travels: compressed, not again if the client has it, without its body for HEAD."""

from __future__ import annotations

import asyncio
from hashlib import blake2b

import cramjam

from k2stream.service.middleware.asgi import ASGIApp, Message, Receive, Scope, Send
from k2stream.service.middleware.headers import header

LEAST_BYTES = 1_024
"""A shorter body is not compressed."""

ASIDE_BYTES = 131_072
"""A longer body is compressed in a thread, beside the event loop."""

LEVEL = 1
"""A third of the bytes at a tenth of the time of the highest level."""

_AS_IS = (b"image/", b"text/event-stream")
_KEPT = (b"etag", b"vary", b"cache-control", b"x-k2-")
"""Headers that a 304 repeats."""

Pairs = list[tuple[bytes, bytes]]

NO_CACHE = (b"cache-control", b"no-cache")
"""Ask whether it has changed, every time."""


def with_content(app: ASGIApp) -> ASGIApp:
    """Compress whole answers with zstd or gzip, give them an ETag, and answer HEAD as GET without a body."""

    async def coded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        # A scope of its own: the server sends no body because its own says HEAD.
        asked = {**scope, "method": "GET"} if head else scope
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            if held:
                start = held.pop()
                if not message.get("more_body"):
                    start, message = await whole(scope, start, message)
                await send(start)
            await send({**message, "body": b""} if head else message)

        try:
            await app(asked, receive, hold)
        finally:
            scope["path_template"] = asked.get("path_template")

    return coded


async def whole(scope: Scope, start: Message, message: Message) -> tuple[Message, Message]:
    """Both messages of an answer whose body is in one, as they are sent."""
    body, status = message.get("body", b""), start["status"]
    pairs: Pairs = [(name.lower(), value) for name, value in start["headers"]]
    if status == 200:
        tag = tag_of(body)
        pairs.append((b"etag", tag))
        if not _value(pairs, b"cache-control"):
            pairs.append(NO_CACHE)
        if _names(header(scope, b"if-none-match"), tag):
            kept = [pair for pair in pairs if pair[0].startswith(_KEPT)]
            return {**start, "status": 304, "headers": kept}, {**message, "body": b""}
    if len(body) >= LEAST_BYTES and not _value(pairs, b"content-type").startswith(_AS_IS):
        pairs.append((b"vary", b"Accept-Encoding"))
        if (coding := coding_of(header(scope, b"accept-encoding"))) is not None:
            body = await _compressed(body, coding)
            pairs = [pair for pair in pairs if pair[0] != b"content-length"]
            pairs += [(b"content-encoding", coding.encode()), (b"content-length", b"%d" % len(body))]
    return {**start, "headers": pairs}, {**message, "body": body}


def tag_of(body: bytes) -> bytes:
    """The ETag of an answer with this body."""
    return b'W/"%s"' % blake2b(body, digest_size=12).hexdigest().encode()


def coding_of(accepted: bytes) -> str | None:
    """The coding to send, of what a client accepts: zstd before gzip."""
    offered = {}
    for part in accepted.lower().split(b","):
        name, _, weight = part.partition(b";")
        offered[name.strip()] = weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return next((name for name in ("zstd", "gzip") if offered.get(name.encode())), None)


async def _compressed(body: bytes, coding: str) -> bytes:
    if len(body) > ASIDE_BYTES:
        return await asyncio.to_thread(_compress, body, coding)
    return _compress(body, coding)


def _compress(body: bytes, coding: str) -> bytes:
    return bytes(getattr(cramjam, coding).compress(body, LEVEL))


def _names(listed: bytes, tag: bytes) -> bool:
    """Whether an If-None-Match names a tag; the strength of tags does not matter there."""
    if not listed:
        return False
    plain = {part.strip().removeprefix(b"W/") for part in listed.split(b",")}
    return listed.strip() == b"*" or tag.removeprefix(b"W/") in plain


def _value(pairs: Pairs, name: bytes) -> bytes:
    return next((value for key, value in pairs if key == name), b"")
