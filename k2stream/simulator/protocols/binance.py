"""The protocol of Binance spot: combined streams and REST."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

from k2stream.model.instrument import STREAMS, Instrument
from k2stream.simulator.assets import Style, decimal
from k2stream.simulator.denials import Denials
from k2stream.simulator.framing import framed
from k2stream.simulator.market import Order
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.answers import RestAnswer, array
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.wire import Message, Subscriber

DAY_SECONDS = 86_400.0
MAX_STREAMS = 1024
MESSAGES_A_SECOND = 5

_STREAM = re.compile(r"([a-z0-9]+)@([A-Za-z0-9_]+)")
_TRADE = (
    '{"stream":"%s@trade","data":{"e":"trade","E":%d,"s":"%s","t":%d,"p":"%s","q":"%s",'
    '"T":%d,"m":%s,"M":true}}'
)
_AGG_TRADE = (
    '{"stream":"%s@aggTrade","data":{"e":"aggTrade","E":%d,"s":"%s","a":%d,"p":"%s","q":"%s","f":%d,"l":%d,'
    '"T":%d,"m":%s,"M":true}}'
)


STYLE = Style(price_digits=8, quantity_digits=8)


class Binance:
    """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS of @trade and @aggTrade, pings, and a maximum age."""

    name = "binance"
    path = "/stream"

    def __init__(
        self,
        instruments: Sequence[Instrument],
        denials: Denials,
        *,
        close_seconds: float = DAY_SECONDS,
        ping_seconds: float = 20.0,
    ) -> None:
        self.denials = denials
        self._symbols = {item.symbol.lower(): item.symbol for item in instruments}
        self._lower = {item.symbol: item.symbol.lower() for item in instruments}
        self._close_us = close_seconds * 1e6
        self.ping_seconds = ping_seconds

    def opened(self, client: Subscriber, now_us: int) -> list[Message]:
        """Nothing is sent on connecting."""
        return []

    def answer(self, client: Subscriber, text: bytes, now_us: int) -> list[Message]:
        """A result or error, with the request's id."""
        client.commands = [at for at in client.commands if at > now_us - 1_000_000] + [now_us]
        if len(client.commands) > MESSAGES_A_SECOND:
            client.close_reason = "Too many requests"
            return []
        try:
            request = json.loads(text)
        except ValueError as error:
            return [_error(3, f"Invalid JSON: {error}")]
        if not isinstance(request, dict):
            return [_error(2, "Invalid request: expected an object")]
        number = request.get("id")
        if type(number) is not int or number < 0:
            return [_error(2, "Invalid request: request ID must be an unsigned integer")]
        method = request.get("method")
        if method == "LIST_SUBSCRIPTIONS":
            return [_result(self._list(client), number)]
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return [_error(2, f"Invalid request: unknown variant {method}", number)]
        if self.denials.take("rate") is not None:
            return [_error(3, "Too many requests", number)]
        return self._change(client, request.get("params"), number, add=method == "SUBSCRIBE")

    def _change(self, client: Subscriber, params: Any, number: int, *, add: bool) -> list[Message]:
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return [_error(2, "Invalid request: params must be an array of strings", number)]
        parsed = []
        for name in params:
            match = _STREAM.fullmatch(name)
            if not match or match[1] not in self._symbols or match[2] not in STREAMS:
                return [_error(2, "Invalid request: invalid stream", number)]
            parsed.append((match[2], self._symbols[match[1]]))
        if add and len(self._list(client)) + len(parsed) > MAX_STREAMS:
            return [_error(2, "Invalid request: too many streams", number)]
        asked = [symbol for _, symbol in parsed] if add else []
        if (refused := self.denials.take("refuse_symbol", asked)) is not None:
            return [_error(2, f"Invalid request: {refused} is refused", number)]
        if self.denials.take("leave_out", asked) is not None:
            return []
        for stream, symbol in parsed:
            symbols = client.subscribed.setdefault(stream, set())
            symbols.add(symbol) if add else symbols.discard(symbol)
        return [_result(None, number)]

    def _list(self, client: Subscriber) -> list[str]:
        return [f"{self._lower[s]}@{stream}" for stream, names in client.subscribed.items() for s in names]

    def remember(self, orders: list[Order]) -> None:
        """Nothing to remember: there are no snapshots."""

    def trades(self, client: Subscriber, orders: list[Order], now_us: int) -> list[Message]:
        """One frame per trade, and one per order on @aggTrade."""
        messages = []
        event_ms = now_us // 1000
        for order in orders:
            symbol, time_ms = order.symbol, order.time_us // 1000
            lower, maker = self._lower[symbol], "false" if order.taker_buy else "true"
            if client.wants("trade", symbol):
                for number, quantity in enumerate(order.quantities, order.first_id):
                    fields = (lower, event_ms, symbol, number, order.price, quantity, time_ms, maker)
                    messages.append(Message((_TRADE % fields).encode(), symbol, number, 1))
            if client.wants("aggTrade", symbol):
                total = decimal(order.lots, order.lot_digits, STYLE.quantity_digits)
                ids = (order.first_id, order.last_id)
                text = _AGG_TRADE % (
                    (lower, event_ms, symbol, order.number, order.price, total, *ids, time_ms, maker)
                )
                messages.append(Message(text.encode(), symbol, order.number, 1))
        return messages

    def heartbeats(self, client: Subscriber, now_us: int) -> list[Message]:
        """No heartbeats; closes the connection at its maximum age."""
        if now_us - client.opened_us >= self._close_us:
            client.close_reason = "connection age"
        return []

    def take_away(self, client: Subscriber, symbol: str, now_us: int) -> list[Message]:
        """Nothing: Binance does not end a subscription by itself."""
        return []

    def closing(self, now_us: int) -> list[Message]:
        """The serverShutdown notice."""
        notice = f'{{"stream":"!serverShutdown","data":{{"e":"serverShutdown","E":{now_us // 1000}}}}}'
        return [Message(notice.encode())]

    def error(self, client: Subscriber, text: str) -> Message:
        """An unsolicited error."""
        return _error(0, text)


def _result(result: Any, number: int) -> Message:
    return Message(json.dumps({"result": result, "id": number}, separators=(",", ":")).encode())


def _error(code: int, text: str, number: int | None = None) -> Message:
    body: dict[str, Any] = {"error": {"code": code, "msg": text}}
    if number is not None:
        body["id"] = number
    return Message(json.dumps(body, separators=(",", ":")).encode())


# REST: historicalTrades, aggTrades and klines.

T = TypeVar("T")

TOO_MANY = RestAnswer('{"code":-1003,"msg":"Too much request weight used; simulated."}', 429)
_UNKNOWN = RestAnswer('{"code":-1121,"msg":"Invalid symbol."}', 400)
_PAST_TRADE = (
    '{"id":%d,"price":"%s","qty":"%s","quoteQty":"%s","time":%d,"isBuyerMaker":%s,"isBestMatch":true}'
)
_PAST_AGG_TRADE = '{"a":%d,"p":"%s","q":"%s","f":%d,"l":%d,"T":%d,"m":%s,"M":true}'
_MAKER = {True: "false", False: "true"}


def historical_trades(past: PastOrders, query: Mapping[str, str]) -> RestAnswer:
    """The first `limit` trades from id `fromId` on, or the newest ones."""
    symbol, limit = query.get("symbol", ""), min(1000, int(query["limit"]))
    if symbol not in past:
        return _UNKNOWN
    found = _asked(past.trades(symbol), query, limit, lambda trade: trade.id)
    return array(
        _PAST_TRADE
        % (
            *(number, order.price, quantity, f"{Decimal(order.price) * Decimal(quantity):f}"),
            *(order.time_us // 1000, _MAKER[order.taker_buy]),
        )
        for number, quantity, order in found
    )


def agg_trades(past: PastOrders, query: Mapping[str, str]) -> RestAnswer:
    """The first `limit` aggregated trades from id `fromId` on, or the newest ones."""
    symbol, limit = query.get("symbol", ""), min(1000, int(query["limit"]))
    if symbol not in past:
        return _UNKNOWN
    found = _asked(past.orders(symbol), query, limit, lambda order: order.number)
    digits = STYLE.quantity_digits
    return array(
        _PAST_AGG_TRADE
        % (
            *(order.number, order.price, decimal(order.lots, order.lot_digits, digits)),
            *(order.first_id, order.last_id, order.time_us // 1000, _MAKER[order.taker_buy]),
        )
        for order in found
    )


def klines(past: PastKlines, query: Mapping[str, str]) -> RestAnswer:
    """At most `limit` klines that start from `startTime` to `endTime`, in ms."""
    symbol, minutes, limit = query.get("symbol", ""), _MINUTES[query["interval"]], int(query["limit"])
    if symbol not in past:
        return _UNKNOWN
    found = past.windows(symbol, minutes, int(query["startTime"]), int(query["endTime"]))
    return array(
        f'[{item.start_ms},"{item.open:.8f}","{item.high:.8f}","{item.low:.8f}","{item.close:.8f}",'
        f'"{item.volume:.8f}",{item.end_ms - 1},"{item.quote:.8f}",{item.count},"{item.taker_volume:.8f}",'
        f'"{item.taker_quote:.8f}","0"]'
        for item in found[: min(1000, limit)]
    )


_MINUTES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440}


def _asked(
    all_of_them: Iterable[T], query: Mapping[str, str], limit: int, number: Callable[[T], int]
) -> Iterable[T]:
    if "fromId" not in query:
        return deque(all_of_them, maxlen=limit)
    first = int(query["fromId"])
    return islice((item for item in all_of_them if number(item) >= first), limit)


PROTOCOL = Protocol(
    Binance,
    STYLE,
    routes={"/api/v3/historicalTrades": historical_trades, "/api/v3/aggTrades": agg_trades},
    klines={"/api/v3/klines": klines},
    requests=20,
    too_many=TOO_MANY,
    share=2.0,
    ages={"close_seconds": DAY_SECONDS, "ping_seconds": 20.0},
    relay=framed(b'{"stream":"%b@%b","data":%b}', "e"),
)
