"""Messages, connections and the dialect interface, shared by all simulated exchanges."""

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
    """A WebSocket message; a trade message has `trades` trades of one symbol with ids from `first_id` on."""

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
    """Symbols by channel or stream type."""

    sequence: int = 0
    heartbeats: int = 0
    last_sent_us: int = 0
    last_ping_us: int = 0
    commands: list[int] = field(default_factory=list)
    """Times at which the latest messages were received."""

    farewell: str = ""
    """If set, the connection is closed with this reason."""

    def wants(self, channel: str, symbol: str) -> bool:
        """Whether the connection has subscribed to a symbol's channel."""
        return symbol in self.subscribed.get(channel, ())

    def next_sequence(self) -> int:
        """The sequence number of the connection's next frame."""
        self.sequence += 1
        return self.sequence - 1

    def write(self, messages: list[Message], now_us: int) -> int:
        """Send messages in one write, which is cheaper than one call each; returns the number of bytes.

        A client that does not read is disconnected, as on real exchanges.
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
    """The protocol logic of an exchange, without its connections. `now_us` is the simulated time."""

    name: str
    path: str
    ping_seconds: float
    """Interval of the server's pings; 0: never."""

    denials: Denials

    def opened(self, client: Subscriber, now_us: int) -> list[Message]:
        """Messages for a new connection."""

    def answer(self, client: Subscriber, text: bytes, now_us: int) -> list[Message]:
        """Messages that answer a client's message."""

    def remember(self, orders: list[Order]) -> None:
        """Record orders, whether or not anyone is connected."""

    def trades(self, client: Subscriber, orders: list[Order], now_us: int) -> list[Message]:
        """Trade messages for the client's subscriptions."""

    def pulse(self, client: Subscriber, now_us: int) -> list[Message]:
        """Heartbeats that are due; sets `farewell` on a connection to close."""

    def error(self, client: Subscriber, text: str) -> Message:
        """An unsolicited error message."""

    def take_away(self, client: Subscriber, symbol: str, now_us: int) -> list[Message]:
        """End a subscription and report it; nothing where the exchange never does that."""

    def closing(self, now_us: int) -> list[Message]:
        """The notice that connections are about to be closed, if the exchange has one."""


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """An unfragmented, unmasked WebSocket frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload
