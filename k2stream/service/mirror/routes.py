"""The mirror's routes, which share what they count and send."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from k2stream.service.mirror import rest, sockets
from k2stream.service.mirror.broadcast import Broadcast
from k2stream.service.mirror.live import FollowedTrades
from k2stream.service.mirror.payloads import PolledTrades, StreamPayloads
from k2stream.service.sources import Sources
from k2stream.service.stream.hub import Hub


def routes(sources: Sources, streams: Hub | None) -> tuple[ControllerRouterHandler, ...]:
    """REST and streams of every exchange; without a hub, new trades are looked up in the store."""
    live = PolledTrades(sources) if streams is None else FollowedTrades(streams)
    payloads = StreamPayloads(sources, live, rest.now_ms)
    return rest.handler(), rest.derivatives, sockets.handler(Broadcast(payloads.of))
