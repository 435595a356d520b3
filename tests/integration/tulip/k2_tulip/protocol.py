"""The Tulip Exchange's servers, simulated."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

from k2stream.model.instrument import Instrument
from k2stream.simulator.assets import Style
from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Order
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.answers import RestAnswer, array
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.wire import Message, Subscriber

BEAT_US = 1_000_000


class Tulip:
    """Trades one by one, a beat every second."""

    name = "tulip"
    path = "/v1"
    ping_seconds = 0.0

    def __init__(self, instruments: Sequence[Instrument], denials: Denials) -> None:
        self.denials = denials
        self._markets = {item.symbol for item in instruments}

    def opened(self, client: Subscriber, now_us: int) -> list[Message]:
        return []

    def answer(self, client: Subscriber, text: bytes, now_us: int) -> list[Message]:
        """All that is joined now, and what is refused."""
        asked = json.loads(text)["join"]
        if self.denials.take("rate") is not None:
            return [self.error(client, "slow down")]
        refused = [name for name in asked if name not in self._markets]
        refused += [name for name in asked if self.denials.take("refuse_symbol", [name]) is not None]
        given = set(asked) - set(refused)
        given -= {name for name in given if self.denials.take("leave_out", [name]) is not None}
        client.subscribed.setdefault("trades", set()).update(given)
        return [
            *(_message(type="refused", market=name, why="no such market") for name in refused),
            _joined(client),
        ]

    def remember(self, orders: list[Order]) -> None:
        """Nothing: there are no snapshots."""

    def trades(self, client: Subscriber, orders: list[Order], now_us: int) -> list[Message]:
        return [
            Message(b'{"type":"trade","trade":%b}' % trade.encode(), order.symbol, number, 1)
            for order in orders
            if client.wants("trades", order.symbol)
            for number, trade in _trades(order)
        ]

    def heartbeats(self, client: Subscriber, now_us: int) -> list[Message]:
        due = (now_us - client.opened_us) // BEAT_US
        beats, client.heartbeats = due - client.heartbeats, due
        return [_message(type="beat")] if beats else []

    def take_away(self, client: Subscriber, symbol: str, now_us: int) -> list[Message]:
        client.subscribed["trades"].discard(symbol)
        return [_joined(client)]

    def closing(self, now_us: int) -> list[Message]:
        return []

    def error(self, client: Subscriber, text: str) -> Message:
        return _message(type="refused", why=text)


def _message(**fields: object) -> Message:
    return Message(json.dumps(fields, separators=(",", ":")).encode())


def _joined(client: Subscriber) -> Message:
    return _message(type="joined", markets=sorted(client.subscribed.get("trades", ())))


def _trades(order: Order) -> list[tuple[int, str]]:
    """An order's trades by number; every third says of which lot it is."""
    return [
        (number, _trade(order, number, amount))
        for number, amount in enumerate(order.quantities, order.first_id)
    ]


def _trade(order: Order, number: int, amount: str) -> str:
    fields = {
        "market": order.symbol,
        "no": number,
        "at": f"{order.time_us:016d}",
        "rate": order.price,
        "amount": amount,
        "maker": "ask" if order.taker_buy else "bid",
        **({"lot": number // 3} if number % 3 == 0 else {}),
    }
    return json.dumps(fields, separators=(",", ":"))


def past(orders: PastOrders, query: Mapping[str, str]) -> RestAnswer:
    """`count` trades from number `from` on, or the newest."""
    market, count = query["market"], int(query["count"])
    if market not in orders:
        return RestAnswer('{"message":"no such market"}', 404)
    trades = orders.trades(market)
    found = (
        islice((trade for trade in trades if trade.id >= int(query["from"])), count)
        if "from" in query
        else deque(trades, maxlen=count)
    )
    return array(_trade(trade.order, trade.id, trade.quantity) for trade in found)


PROTOCOL = Protocol(
    Tulip,
    Style(),
    routes={"/past": past},
    requests=50,
    too_many=RestAnswer('{"message":"slow down"}', 429),
)
