"""The protocol of Coinbase Advanced Trade: market_trades, heartbeats and REST."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby

import msgspec

from k2stream.model.instrument import Instrument
from k2stream.simulator.assets import Style
from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Order
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.answers import RestAnswer, array
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.wire import Message, Subscriber

SUBSCRIBE_WITHIN_US = 5_000_000
HEARTBEAT_US = 1_000_000
SNAPSHOT_TRADES = 100

_TRADE = '{"product_id":"%s","trade_id":"%d","price":"%s","size":"%s","time":"%s","side":"%s"}'

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

STYLE = Style(lot_digits=8)


class Coinbase:
    """A snapshot (newest trade first) per product, then updates, with one frame counter for all channels."""

    name = "coinbase"
    path = "/"
    ping_seconds = 0.0

    def __init__(self, instruments: Sequence[Instrument], denials: Denials) -> None:
        self.denials = denials
        self._recent: dict[str, deque[tuple[int, str]]] = {
            item.symbol: deque(maxlen=SNAPSHOT_TRADES) for item in instruments
        }

    def opened(self, client: Subscriber, now_us: int) -> list[Message]:
        """Nothing is sent on connecting."""
        return []

    def answer(self, client: Subscriber, text: bytes, now_us: int) -> list[Message]:
        """The snapshots, then the list of subscriptions; or an error, which has no channel."""
        try:
            request = json.loads(text)
        except ValueError:
            return [self.error(client, "failed to parse message")]
        if not isinstance(request, dict) or request.get("type") not in ("subscribe", "unsubscribe"):
            return [self.error(client, "unknown message type")]
        channel, products = request.get("channel"), request.get("product_ids") or []
        if channel not in ("market_trades", "heartbeats"):
            return [self.error(client, f"channel {channel} is not a valid channel")]
        if not isinstance(products, list) or (channel == "market_trades" and not products):
            return [self.error(client, "product_ids is required")]
        for product in products:
            if product not in self._recent:
                return [self.error(client, f"{product} is not a valid product")]
        if request["type"] == "unsubscribe":
            client.subscribed.setdefault(channel, set()).difference_update(products)
            return [self._subscriptions(client, now_us)]
        if self.denials.take("rate") is not None:
            return [self.error(client, "rate limit exceeded")]
        if channel == "market_trades":
            if (refused := self.denials.take("refuse_symbol", products)) is not None:
                return [self.error(client, f"{refused} is refused")]
            products = [name for name in products if self.denials.take("leave_out", [name]) is None]
        client.subscribed.setdefault(channel, set()).update(products or {channel} - {"market_trades"})
        snapshots = (
            [self._snapshot(client, product, now_us) for product in products if self._recent[product]]
            if channel == "market_trades"
            else []
        )
        return [*snapshots, self._subscriptions(client, now_us)]

    def _snapshot(self, client: Subscriber, product: str, now_us: int) -> Message:
        recent = self._recent[product]
        trades = [trade for _, trade in reversed(recent)]
        return _market_trades(client, "snapshot", product, recent[0][0], trades, now_us)

    def _subscriptions(self, client: Subscriber, now_us: int) -> Message:
        channels = {name: sorted(products) for name, products in client.subscribed.items()}
        events = json.dumps([{"subscriptions": channels}], separators=(",", ":"))
        return Message(_frame(client, "subscriptions", events, now_us))

    def remember(self, orders: list[Order]) -> None:
        """Keep the newest trades of each product for its snapshot."""
        for order in orders:
            self._recent[order.symbol].extend(_trades(order))

    def trades(self, client: Subscriber, orders: list[Order], now_us: int) -> list[Message]:
        """One update per product."""
        found: dict[str, list[tuple[int, str]]] = {}
        for order in orders:
            if client.wants("market_trades", order.symbol):
                found.setdefault(order.symbol, []).extend(_trades(order))
        return [
            _market_trades(client, "update", product, numbered[0][0], [text for _, text in numbered], now_us)
            for product, numbered in found.items()
        ]

    def heartbeats(self, client: Subscriber, now_us: int) -> list[Message]:
        """A heartbeat each second; closes a connection that did not subscribe in time."""
        age = now_us - client.opened_us
        if not client.subscribed and age >= SUBSCRIBE_WITHIN_US:
            client.close_reason = "no subscription within 5 s"
        if "heartbeats" not in client.subscribed or age < (client.heartbeats + 1) * HEARTBEAT_US:
            return []
        client.heartbeats = age // HEARTBEAT_US
        current = f"{iso(now_us)[:-1].replace('T', ' ')} +0000 UTC m=+{age / 1e6:.9f}"
        events = f'[{{"current_time":"{current}","heartbeat_counter":{client.heartbeats}}}]'
        return [Message(_frame(client, "heartbeats", events, now_us))]

    def take_away(self, client: Subscriber, symbol: str, now_us: int) -> list[Message]:
        """End the subscription and send the list of the remaining ones."""
        client.subscribed["market_trades"].discard(symbol)
        return [self._subscriptions(client, now_us)]

    def closing(self, now_us: int) -> list[Message]:
        """Nothing: there is no shutdown notice."""
        return []

    def error(self, client: Subscriber, text: str) -> Message:
        """An unsolicited error: a message with a type and no channel."""
        body = {"type": "error", "message": "Failed to subscribe", "reason": text}
        return Message(json.dumps(body, separators=(",", ":")).encode())


def _trades(order: Order) -> Iterable[tuple[int, str]]:
    time = iso(order.time_us)
    side = "SELL" if order.taker_buy else "BUY"  # the maker's side
    for number, quantity in enumerate(order.quantities, order.first_id):
        yield number, _TRADE % (order.symbol, number, order.price, quantity, time, side)


def _market_trades(
    client: Subscriber, kind: str, product: str, first_id: int, trades: list[str], now_us: int
) -> Message:
    events = f'[{{"type":"{kind}","trades":[{",".join(trades)}]}}]'
    return Message(_frame(client, "market_trades", events, now_us), product, first_id, len(trades))


def _frame(client: Subscriber, channel: str, events: str, now_us: int) -> bytes:
    return (
        f'{{"channel":"{channel}","client_id":"","timestamp":"{iso(now_us)}",'
        f'"sequence_num":{client.next_sequence()},"events":{events}}}'
    ).encode()


def relay(client: Subscriber, symbol: str, trades: Sequence[bytes], now_us: int) -> list[Message]:
    """One message of recorded trades, in events of the types that they had."""
    if not client.wants("market_trades", symbol):
        return []
    fields = [_FIELDS.decode(each) for each in trades]
    events = []
    for kind, group in groupby(fields, key=lambda each: bytes(each.pop("type"))):
        listed = b",".join(map(msgspec.json.encode, group))
        events.append(b'{"type":%b,"trades":[%b]}' % (kind, listed))
    frame = _frame(client, "market_trades", f"[{b','.join(events).decode()}]", now_us)
    return [Message(frame, symbol, 0, len(trades))]


def iso(time_us: int) -> str:
    """Format a time as Coinbase does."""
    seconds, micros = divmod(time_us, 1_000_000)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# REST: trades and candles of a product.

TOO_MANY = RestAnswer('{"message":"Public rate limit exceeded"}', 429)
_UNKNOWN = RestAnswer('{"message":"NotFound"}', 404)


def trades(past: PastOrders, query: Mapping[str, str]) -> RestAnswer:
    """The newest `limit` trades, with ids below `after` if given, newest first; `side` is the maker's."""
    product, after, limit = query["product"], query.get("after"), min(1000, int(query["limit"]))
    if product not in past:
        return _UNKNOWN
    below = int(after) if after else math.inf
    found = deque((trade for trade in past.trades(product) if trade.id < below), maxlen=limit)
    return array(
        f'{{"time":"{iso(order.time_us)}","trade_id":{number},"price":"{order.price}","size":"{quantity}",'
        f'"side":"{"sell" if order.taker_buy else "buy"}"}}'
        for number, quantity, order in reversed(found)
    )


_GRANULARITIES = {
    "ONE_MINUTE": 1,
    "FIVE_MINUTE": 5,
    "FIFTEEN_MINUTE": 15,
    "THIRTY_MINUTE": 30,
    "ONE_HOUR": 60,
    "ONE_DAY": 1440,
}


def candles(past: PastKlines, query: Mapping[str, str]) -> RestAnswer:
    """The candles of Advanced Trade that start from `start` to `end`, in seconds, newest first."""
    product, minutes = query["product"], _GRANULARITIES[query["granularity"]]
    if product not in past:
        return _UNKNOWN
    found = past.windows(product, minutes, int(query["start"]) * 1000, int(query["end"]) * 1000)
    rows = array(
        f'{{"start":"{item.start_ms // 1000}","low":"{item.low:f}","high":"{item.high:f}",'
        f'"open":"{item.open:f}","close":"{item.close:f}","volume":"{item.volume:f}"}}'
        for item in reversed(found[-min(350, int(query["limit"])) :])
    )
    return RestAnswer(f'{{"candles":{rows.text}}}')


PROTOCOL = Protocol(
    Coinbase,
    STYLE,
    routes={"/products/{product}/trades": trades},
    klines={"/api/v3/brokerage/market/products/{product}/candles": candles},
    requests=50,
    too_many=TOO_MANY,
    relay=relay,
)
