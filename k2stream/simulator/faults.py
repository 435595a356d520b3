"""Faults that a simulated exchange injects on request."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from random import Random
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from k2stream.simulator.market import Order
from k2stream.simulator.wire import BINARY, Dialect, Message, Subscriber

HUGE_PRICE = "1234567890123456789012345.5"
"""25 integer digits: more than fit decimal(38, 18)."""


class FaultKind(StrEnum):
    """Kinds of faults: extra messages, changed trades, interrupted connections, denied subscriptions."""

    GARBAGE = "garbage"  # a text frame that is not JSON
    BINARY = "binary"  # a binary frame of random bytes
    TRUNCATED = "truncated"  # a copy of a trade message, cut in half
    HUGE = "huge"  # one frame of `bytes` bytes of text
    ERROR = "error"  # an error message of the exchange
    DUPLICATE = "duplicate"  # a trade message sent twice

    OUT_OF_RANGE = "out_of_range"  # an order whose price exceeds decimal(38, 18)
    LATE = "late"  # an order dated `seconds` ago
    AHEAD = "ahead"  # an order dated `seconds` in the future
    REORDER = "reorder"  # a trade message delayed by up to `seconds`
    SWAP = "swap"  # a trade message sent after the one that follows it
    DROP = "drop"  # a trade message that is not sent

    SILENCE = "silence"  # nothing is sent for `seconds`; connections stay open
    ABORT = "abort"  # connections end without a close frame (1006)
    CLOSE = "close"  # connections are closed with 1000
    REFUSE = "refuse"  # new connections get 503 for `seconds`
    SHUTDOWN = "shutdown"  # the exchange's notice, if any; after `seconds` a close with 1001
    PONG = "pong"  # unsolicited pongs

    REFUSE_SYMBOL = "refuse_symbol"  # the next `count` requests for `symbol` are refused
    LEAVE_OUT = "leave_out"  # the next `count` requests for `symbol` are answered without it
    RATE = "rate"  # the next `count` requests get the exchange's rate-limit error
    TAKE_AWAY = "take_away"  # the exchange ends the subscription of `symbol`

    REST = "rest"  # REST requests get 503 for `seconds`
    TOO_MANY = "too_many"  # REST requests get the exchange's rate-limit answer for `seconds`
    SLOW = "slow"  # the next `count` REST requests are answered after `seconds`
    WRONG_KLINE = "wrong_kline"  # one field of the next `count` klines (of `symbol`) is wrong, and stays so
    MISSING_KLINE = "missing_kline"  # the next `count` klines (of `symbol`) are left out, and stay so


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for a fault that affects `count` messages or orders of one exchange."""

    exchange: str
    kind: FaultKind
    count: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    seconds: Annotated[float, Meta(ge=0, le=86_400)] = 2.0
    bytes: Annotated[int, Meta(ge=1, le=100_000_000)] = 1_000_000
    symbol: str = ""
    """For faults of one symbol; empty: the next one requested, or the first one subscribed."""


_OF_ORDERS = {FaultKind.OUT_OF_RANGE, FaultKind.LATE, FaultKind.AHEAD}
_EXTRA = (FaultKind.GARBAGE, FaultKind.BINARY, FaultKind.TRUNCATED, FaultKind.HUGE, FaultKind.ERROR)


class Faults:
    """The pending faults of one exchange, and a log of those that happened."""

    def __init__(self, dialect: Dialect, seed: int) -> None:
        self.done: Counter[FaultKind] = Counter()
        self.log: list[dict[str, Any]] = []
        self._dialect = dialect
        self._random = Random(f"faults:{seed}:{dialect.name}")  # noqa: S311 - faults that can be repeated
        self._due: dict[FaultKind, tuple[int, Fault]] = {}
        self._delayed: list[tuple[int, Subscriber, Message]] = []
        self._swapped: dict[Subscriber, Message] = {}
        self._last_trade = b""

    @property
    def delayed(self) -> int:
        """Number of delayed messages at the moment."""
        return len(self._delayed) + len(self._swapped)

    def ask(self, fault: Fault) -> None:
        """Schedule a fault from the next message or order on; adds to pending ones of the same kind."""
        due, _ = self._due.get(fault.kind, (0, fault))
        self._due[fault.kind] = (due + fault.count, fault)

    def count_applied(self, kind: FaultKind, **details: Any) -> None:
        """Log a fault that happened."""
        self.done[kind] += 1
        self.log.append({"exchange": self._dialect.name, "fault": kind.value, **details})

    def orders(self, orders: list[Order]) -> list[Order]:
        """Apply pending faults to orders."""
        if not self._due.keys() & _OF_ORDERS:
            return orders
        return [self._change(order) for order in orders]

    def messages(self, client: Subscriber, messages: list[Message], now_us: int) -> list[Message]:
        """The messages to send in place of trade messages, after applying pending faults."""
        if messages:
            self._last_trade = messages[-1].payload
        if not self._due and not self._delayed and not self._swapped:
            return messages
        sent = [message for kind in _EXTRA for message in self._extras(kind, client)]
        for message in messages:
            behind = self._swapped.pop(client, None)
            sent += self._disturb(client, message, now_us) if behind is None else [message, behind]
        due = [item for item in self._delayed if item[1] is client and item[0] <= now_us]
        self._delayed = [item for item in self._delayed if item not in due]
        return sent + [message for _, _, message in due]

    def forget(self, client: Subscriber) -> None:
        """Drop the delayed messages of a closed connection."""
        self._delayed = [item for item in self._delayed if item[1] is not client]
        self._swapped.pop(client, None)

    def _take(self, kind: FaultKind) -> Fault | None:
        if kind not in self._due:
            return None
        left, fault = self._due.pop(kind)
        if left > 1:
            self._due[kind] = (left - 1, fault)
        return fault

    def _change(self, order: Order) -> Order:
        if self._take(FaultKind.OUT_OF_RANGE):
            self.count_applied(
                FaultKind.OUT_OF_RANGE, symbol=order.symbol, ids=[order.first_id, order.last_id]
            )
            return order._replace(price=HUGE_PRICE)
        for kind, sign in ((FaultKind.LATE, -1), (FaultKind.AHEAD, 1)):
            if fault := self._take(kind):
                self.count_applied(kind, symbol=order.symbol, ids=[order.first_id, order.last_id])
                return order._replace(time_us=order.time_us + sign * int(fault.seconds * 1e6))
        return order

    def _extras(self, kind: FaultKind, client: Subscriber) -> list[Message]:
        messages = []
        while self._ready(kind) and (fault := self._take(kind)):
            self.count_applied(kind)
            messages.append(self._extra(fault, client))
        return messages

    def _ready(self, kind: FaultKind) -> bool:
        return kind is not FaultKind.TRUNCATED or bool(self._last_trade)

    def _extra(self, fault: Fault, client: Subscriber) -> Message:
        match fault.kind:
            case FaultKind.GARBAGE:
                return Message(b"\x00\xff not JSON " + self._random.randbytes(16).hex().encode())
            case FaultKind.BINARY:
                return Message(self._random.randbytes(64), opcode=BINARY)
            case FaultKind.TRUNCATED:
                return Message(self._last_trade[: len(self._last_trade) // 2])
            case FaultKind.HUGE:
                return Message(b"x" * fault.bytes)
            case _:
                return self._dialect.error(client, "simulated error")

    def _disturb(self, client: Subscriber, message: Message, now_us: int) -> list[Message]:
        ids = [message.first_id, message.first_id + message.trades - 1]
        if self._take(FaultKind.DROP):
            self.count_applied(FaultKind.DROP, symbol=message.symbol, ids=ids)
            return []
        if self._take(FaultKind.SWAP):
            self.count_applied(FaultKind.SWAP, symbol=message.symbol, ids=ids)
            self._swapped[client] = message
            return []
        if fault := self._take(FaultKind.REORDER):
            self.count_applied(FaultKind.REORDER, symbol=message.symbol, ids=ids)
            self._delayed.append(
                (now_us + int(self._random.uniform(0, fault.seconds) * 1e6), client, message)
            )
            return []
        if self._take(FaultKind.DUPLICATE):
            self.count_applied(FaultKind.DUPLICATE, symbol=message.symbol, ids=ids)
            return [message, message]
        return [message]
