"""What the simulated exchanges have in common on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Order

TEXT, BINARY = 0x1, 0x2
_MAX_UNREAD = 64 * 1024 * 1024


class Message(NamedTuple):
    """A WebSocket message; one of trades carries `trades` trades of a symbol from `first_id` on."""

    payload: bytes
    symbol: str = ""
    first_id: int = 0
    trades: int = 0
    opcode: int = TEXT


@dataclass(eq=False, slots=True)
class Subscriber:
    """One connection and its subscriptions; times are µs since 1970."""

    socket: ServerConnection
    opened_us: int
    subscribed: dict[str, set[str]] = field(default_factory=dict)
    """Channel or stream type to symbols."""

    sequence: int = 0
    heartbeats: int = 0
    last_sent_us: int = 0
    last_ping_us: int = 0
    commands: list[int] = field(default_factory=list)
    """When the latest messages came."""

    farewell: str = ""
    """Set to close the connection, with this reason."""

    def wants(self, channel: str, symbol: str) -> bool:
        """Whether it has subscribed to a symbol's channel."""
        return symbol in self.subscribed.get(channel, ())

    def next_sequence(self) -> int:
        """The number of the next frame of this connection."""
        self.sequence += 1
        return self.sequence - 1

    def write(self, messages: list[Message], now_us: int) -> int:
        """Send messages in one write, without the cost of one call each; the number of bytes.

        A client that does not read is cut off, as exchanges do.
        """
        if not messages or self.socket.state is not State.OPEN or self.socket.transport.is_closing():
            return 0
        data = b"".join([frame(message.payload, message.opcode) for message in messages])
        self.socket.transport.write(data)
        self.last_sent_us = now_us
        if self.socket.transport.get_write_buffer_size() > _MAX_UNREAD:
            self.socket.transport.abort()
        return len(data)


class Dialect(Protocol):
    """An exchange's protocol, without its connections. `now_us` is when it happens."""

    name: str
    path: str
    ping_seconds: float
    """How often the server pings; 0 for never."""

    denials: Denials

    def opened(self, client: Subscriber, now_us: int) -> list[Message]:
        """What a new connection is told."""

    def answer(self, client: Subscriber, text: bytes, now_us: int) -> list[Message]:
        """The answer to a client's message."""

    def remember(self, orders: list[Order]) -> None:
        """Take note of orders, whether or not anyone is connected."""

    def trades(self, client: Subscriber, orders: list[Order], now_us: int) -> list[Message]:
        """Orders as the client's subscriptions show them."""

    def pulse(self, client: Subscriber, now_us: int) -> list[Message]:
        """Heartbeats that are due; sets `farewell` on a connection that must end."""

    def error(self, client: Subscriber, text: str) -> Message:
        """An error that nobody asked for."""

    def take_away(self, client: Subscriber, symbol: str, now_us: int) -> list[Message]:
        """End a subscription, and say so; nothing where the exchange does not do that."""

    def closing(self, now_us: int) -> list[Message]:
        """What says that connections are about to be closed."""


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """An unfragmented, unmasked WebSocket frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload
