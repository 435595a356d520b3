"""`/v1/stream`: the WebSocket, and Server-Sent Events for one subscription."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from litestar import Request, WebSocket, get, websocket
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from k2stream.service.parameters import From
from k2stream.service.stream.client import StreamClient
from k2stream.service.stream.hub import Hub
from k2stream.service.stream.messages import StreamRequest
from k2stream.service.stream.outlets import BufferedOutlet, FrameOutlet, Gone
from k2stream.service.stream.sockets import EXTENSION
from k2stream.service.stream.wanted import wanted

PATH = "/v1/stream"

Name = Annotated[str, QueryParameter()]
Zone = Annotated[str, QueryParameter(name="tz")]
LastEvent = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]

_RESUME = b'"resume":"'


@websocket(PATH)
async def frames(socket: WebSocket[Any, Any, Any]) -> None:
    """Subscriptions over a WebSocket."""
    hub: Hub = socket.app.state.streams
    await socket.accept()
    outlet = FrameOutlet(_connection(socket.scope))
    client = hub.client(outlet)
    try:
        receive: Any = socket.receive
        while (message := await receive())["type"] != "websocket.disconnect":
            await outlet.drained()  # a client that does not read is not answered either
            client.take(message.get("text") or message.get("bytes") or b"")
    except Gone:
        pass
    finally:
        client.leave()


@get(PATH, include_in_schema=False)  # an answer without an end: see docs/stream.md
async def events(
    sources: From,
    request: Request[Any, Any, Any],
    exchange: Name = "*",
    symbol: Name = "*",
    channel: Annotated[Literal["candles", "trades", "health"], QueryParameter()] = "candles",
    timeframe: Name = "1m",
    zone: Zone = "UTC",
    since: Annotated[str | None, QueryParameter()] = None,
    last_event_id: LastEvent = None,
) -> Stream:
    """One subscription as Server-Sent Events."""
    asked = StreamRequest(1, channel, exchange, symbol, timeframe, zone, last_event_id or since)
    wanted(asked, sources.instruments, sources.settings.kafka)  # a refusal is the answer
    hub: Hub = request.app.state.streams
    outlet = BufferedOutlet(_connection(request.scope).transport.abort)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Stream(_events(hub, asked, outlet), media_type="text/event-stream", headers=headers)


async def _events(hub: Hub, asked: StreamRequest, outlet: BufferedOutlet) -> AsyncIterator[bytes]:
    client: StreamClient = hub.client(outlet)
    try:
        client.subscribe(asked)
        async for payloads in outlet.messages():
            yield b"".join(map(event, payloads))
    finally:
        client.leave()


def event(payload: bytes) -> bytes:
    """A message as an event, whose id is the resume token."""
    found = payload.rfind(_RESUME) if payload.startswith(b'{"id":') else -1
    name = b"id: %b\n" % payload[found + len(_RESUME) : -2] if found >= 0 else b""
    return b"%bdata: %b\n\n" % (name, payload)


def _connection(scope: Any) -> Any:
    return scope["extensions"][EXTENSION]


ROUTES = (frames, events)
