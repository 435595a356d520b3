"""The protocol of Kraken, WebSocket v1 (arrays for trades, objects for events) and REST."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from k2stream.model.instrument import Instrument
from k2stream.simulator.assets import Style
from k2stream.simulator.denials import Denials
from k2stream.simulator.market import Order
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.answers import RestAnswer, array
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders, PastTrade
from k2stream.simulator.wire import Message, Subscriber

HEARTBEAT_US = 1_000_000
_CONNECTION_ID = 13_262_814_312_735_126_000  # beyond int64, like the real ones
_HEARTBEAT = Message(b'{"event":"heartbeat"}')

RELAYED = 336
"""The channel number of recorded trades."""

_FIELDS = ("price", "volume", "time", "side", "orderType", "misc")
_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])

STYLE = Style(price_digits=5, quantity_digits=8, lot_digits=8)


class Kraken:
    """Status on connecting, one answer per pair, heartbeats when quiet, several trades per message."""

    name = "kraken"
    path = "/"
    ping_seconds = 0.0

    def __init__(self, instruments: Sequence[Instrument], denials: Denials) -> None:
        self.denials = denials
        self._channels = {item.symbol: 336 + position for position, item in enumerate(instruments)}
        self._connections = 0

    def opened(self, client: Subscriber, now_us: int) -> list[Message]:
        """The system status, sent on connecting."""
        self._connections += 1
        connection = _CONNECTION_ID + self._connections
        return [_event(connectionID=connection, event="systemStatus", status="online", version="1.9.6")]

    def answer(self, client: Subscriber, text: bytes, now_us: int) -> list[Message]:
        """One subscriptionStatus per pair, or a pong."""
        try:
            request = json.loads(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            return [_event(errorMessage="Malformed request", event="error")]
        echo = {"reqid": request["reqid"]} if "reqid" in request else {}
        event = request.get("event")
        if event == "ping":
            return [_event(event="pong", **echo)]
        if event not in ("subscribe", "unsubscribe"):
            return [_event(errorMessage="Unsupported event", event="error", **echo)]
        subscription, pairs = request.get("subscription"), request.get("pair")
        if not isinstance(subscription, dict) or not isinstance(pairs, list):
            return [_event(errorMessage="Malformed request", event="error", **echo)]
        if self.denials.take("rate") is not None:
            return [_event(Error="Exceeded msg rate")]
        given = [pair for pair in pairs if self.denials.take("leave_out", [pair]) is None]
        return [self._status(client, str(event), pair, subscription, echo) for pair in given]

    def _status(
        self, client: Subscriber, event: str, pair: Any, subscription: dict[str, Any], echo: dict[str, Any]
    ) -> Message:
        def refused(text: str) -> Message:
            return _event(
                errorMessage=text,
                event="subscriptionStatus",
                pair=pair,
                status="error",
                subscription=subscription,
                **echo,
            )

        if subscription.get("name") != "trade":
            return refused("Subscription name invalid")
        if pair not in self._channels:
            return refused(f"Currency pair not supported {pair}")
        if self.denials.take("refuse_symbol", [pair]) is not None:
            return refused("Exceeded msg rate")
        pairs = client.subscribed.setdefault("trade", set())
        pairs.add(pair) if event == "subscribe" else pairs.discard(pair)
        return self._said(pair, f"{event}d", **echo)

    def _said(self, pair: str, status: str, **echo: Any) -> Message:
        return _event(
            channelID=self._channels[pair],
            channelName="trade",
            event="subscriptionStatus",
            pair=pair,
            status=status,
            subscription={"name": "trade"},
            **echo,
        )

    def remember(self, orders: list[Order]) -> None:
        """Nothing to remember: there are no snapshots."""

    def trades(self, client: Subscriber, orders: list[Order], now_us: int) -> list[Message]:
        """One message per pair, with all its trades; they have no ids on the wire."""
        rows: dict[str, list[str]] = {}
        first: dict[str, int] = {}
        for order in orders:
            if client.wants("trade", order.symbol):
                first.setdefault(order.symbol, order.first_id)
                seconds, micros = divmod(order.time_us, 1_000_000)
                side, kind = "b" if order.taker_buy else "s", "m" if order.number % 3 else "l"
                rows.setdefault(order.symbol, []).extend(
                    f'["{order.price}","{quantity}","{seconds}.{micros:06d}","{side}","{kind}",""]'
                    for quantity in order.quantities
                )
        return [
            Message(
                f'[{self._channels[pair]},[{",".join(trades)}],"trade","{pair}"]'.encode(),
                pair,
                first[pair],
                len(trades),
            )
            for pair, trades in rows.items()
        ]

    def heartbeats(self, client: Subscriber, now_us: int) -> list[Message]:
        """A heartbeat after a quiet second."""
        quiet = now_us - client.last_sent_us >= HEARTBEAT_US
        return [_HEARTBEAT] if quiet and client.subscribed else []

    def error(self, client: Subscriber, text: str) -> Message:
        """An unsolicited error."""
        return _event(errorMessage=text, event="error")

    def take_away(self, client: Subscriber, symbol: str, now_us: int) -> list[Message]:
        """End the subscription and send the status "unsubscribed"."""
        client.subscribed["trade"].discard(symbol)
        return [self._said(symbol, "unsubscribed")]

    def closing(self, now_us: int) -> list[Message]:
        """Nothing: there is no shutdown notice."""
        return []


def relay(client: Subscriber, symbol: str, trades: Sequence[bytes], now_us: int) -> list[Message]:
    """One message of recorded trades, if the client has subscribed to their pair."""
    if not client.wants("trade", symbol):
        return []
    rows = b",".join(
        b"[%b]" % b",".join(bytes(each[name]) for name in _FIELDS) for each in map(_ROW.decode, trades)
    )
    pair = json.dumps(symbol).encode()
    return [Message(b'[%d,[%b],"trade",%b]' % (RELAYED, rows, pair), symbol, 0, len(trades))]


def _event(**fields: Any) -> Message:
    return Message(json.dumps(fields, separators=(",", ":")).encode())


# REST: Trades and OHLC. Times of trades have more digits than over WebSocket, and are JSON numbers.

TOO_MANY = RestAnswer('{"error":["EAPI:Rate limit exceeded"]}')
_UNKNOWN = RestAnswer('{"error":["EQuery:Unknown asset pair"]}')


def trades(past: PastOrders, query: Mapping[str, str]) -> RestAnswer:
    """At most `count` trades after `since` (ns since 1970), ordered by time."""
    pair, since, count = query.get("pair", ""), int(query["since"]), min(1000, int(query.get("count", 1000)))
    if pair not in past:
        return _UNKNOWN
    rows = sorted((ns, trade) for trade in past.trades(pair) if (ns := _ns(trade)) > since)[:count]
    last = rows[-1][0] if rows else since
    return RestAnswer(f'{{"error":[],"result":{{"{pair}":[{",".join(map(_row, rows))}],"last":"{last}"}}}}')


def _ns(trade: PastTrade) -> int:
    return trade.order.time_us * 1000 + trade.order.number % 10 * 100


def _row(timed: tuple[int, PastTrade]) -> str:
    ns, (number, quantity, order) = timed
    seconds = f"{ns // 10**9}.{ns % 10**9:09d}".rstrip("0").rstrip(".")
    side, kind = "b" if order.taker_buy else "s", "m" if order.number % 3 else "l"
    return f'["{order.price}","{quantity}",{seconds},"{side}","{kind}","",{number}]'


def ohlc(past: PastKlines, query: Mapping[str, str]) -> RestAnswer:
    """The newest 720 klines that start after `since`, in seconds; the last one is open."""
    pair, minutes, since = query.get("pair", ""), int(query["interval"]), int(query.get("since", 0))
    if pair not in past:
        return _UNKNOWN
    found = past.windows(pair, minutes, since * 1000 + 1, 2**53)[-720:]
    rows = array(
        f'[{item.start_ms // 1000},"{item.open:.5f}","{item.high:.5f}","{item.low:.5f}","{item.close:.5f}",'
        f'"{item.quote / item.volume:.5f}","{item.volume:.8f}",{item.count}]'
        for item in found
    )
    last = found[-2].start_ms // 1000 if len(found) > 1 else since
    return RestAnswer(f'{{"error":[],"result":{{"{pair}":{rows.text},"last":{last}}}}}')


PROTOCOL = Protocol(
    Kraken,
    STYLE,
    routes={"/0/public/Trades": trades},
    klines={"/0/public/OHLC": ohlc},
    requests=10,
    too_many=TOO_MANY,
    relay=relay,
)
