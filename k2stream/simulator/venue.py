"""A simulated exchange as a WebSocket server, which connects a dialect and a market."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from k2stream.simulator.faults import Fault, FaultKind, Faults
from k2stream.simulator.market import Market, Order
from k2stream.simulator.protocol import Protocol
from k2stream.simulator.rest.klines import PastKlines
from k2stream.simulator.rest.past import PastOrders
from k2stream.simulator.rest.server import Rest
from k2stream.simulator.wire import Dialect, Message, Subscriber

PONG_SECONDS = 60.0


@dataclass(slots=True)
class Counts:
    """Counts since the start. `sent_trades` counts the trades of ordinary messages, each once.

    It excludes injected copies, snapshots and dropped messages. `unheard_trades` are the generated trades
    that happened before anyone had ever subscribed to their symbol.
    """

    generated_trades: int = 0
    unheard_trades: int = 0
    sent_trades: int = 0
    sent_messages: int = 0
    sent_bytes: int = 0
    snapshot_trades: int = 0
    received_messages: int = 0
    connections: int = 0
    closed_connections: int = 0
    pongs: int = 0


class SimulatedVenue:
    """One exchange; each `tick` sends what has happened since the previous one."""

    def __init__(
        self,
        protocol: Protocol,
        dialect: Dialect,
        market: Market,
        symbols: Iterable[str],
        seed: int,
        now_us: Callable[[], int],
        on_orders: Callable[[str, list[Order]], None] = lambda name, orders: None,
    ) -> None:
        self.name = dialect.name
        self.counts = Counts()
        self.faults = Faults(dialect, seed)
        self.clients: set[Subscriber] = set()
        self._dialect = dialect
        self._market = market
        self._now_us = now_us
        self._on_orders = on_orders
        self._heard: set[str] = set()
        self._stopped = False
        self._silent_until = 0
        self._refuse_until = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Server | None = None
        symbols = list(symbols)
        self._past = PastOrders(symbols)
        self._klines = PastKlines(symbols, now_us(), now_us, self._count_kline)
        self.rest = Rest(protocol, self._past, self._klines)

    async def start(self, host: str, port: int, rest_port: int = 0) -> Self:
        """Listen; port 0 takes a free one."""
        await self.rest.start(host, rest_port)
        self._server = await serve(
            self._connection,
            host,
            port,
            process_request=self._admit,
            compression=None,
            ping_interval=None,
            close_timeout=1.0,
        )
        return self

    @property
    def url(self) -> str:
        """The WebSocket URL."""
        assert self._server
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{host}:{port}{self._dialect.path}"

    async def close(self) -> None:
        """Drop all connections and stop listening."""
        await self.rest.close()
        for client in self.clients:
            client.socket.transport.abort()
        for task in self._tasks:
            task.cancel()
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def stop_trading(self) -> None:
        """Stop trading; connections stay alive."""
        self._stopped = True

    def start_trading(self) -> None:
        """Resume trading; there are no trades for the time in between."""
        if self._stopped:
            self._market.halted(self._now_us())
        self._stopped = False

    def tick(self) -> None:
        """Trade up to now, and send each connection the trades that it has subscribed to."""
        now_us = self._now_us()
        orders = [] if self._stopped else self.faults.orders(self._market.until(now_us))
        if orders:
            self.counts.generated_trades += sum(len(order.quantities) for order in orders)
            self.counts.unheard_trades += sum(
                len(order.quantities) for order in orders if order.symbol not in self._heard
            )
            self._dialect.remember(orders)
            self._past.add(orders)
            self._klines.add(orders)
            self._on_orders(self.name, orders)
        if now_us < self._silent_until:
            return
        for client in self.clients:
            trades = self._dialect.trades(client, orders, now_us) if orders else []
            sent = self.faults.messages(client, trades, now_us)
            self._send(client, [*sent, *self._dialect.heartbeats(client, now_us)], now_us)
            self.counts.sent_trades += _trades_once(trades, sent)
            self._keep(client, now_us)

    def inject(self, fault: Fault) -> None:  # noqa: C901 - one case per kind
        """Inject a fault, at once or with the next message or order."""
        until = self._now_us() + int(fault.seconds * 1e6)
        match fault.kind:
            case FaultKind.SILENCE:
                self._silent_until = until
            case FaultKind.REFUSE:
                self._refuse_until = until
            case FaultKind.REST | FaultKind.TOO_MANY | FaultKind.SLOW:
                self.rest.disturb(fault)
            case FaultKind.WRONG_KLINE | FaultKind.MISSING_KLINE:
                self._klines.disturb(fault.kind, fault.symbol, fault.count)
                return
            case FaultKind.ABORT:
                for client in self.clients:
                    client.socket.transport.abort()
            case FaultKind.PONG:
                for client in self.clients:
                    for number in range(fault.count):
                        self._run(client.socket.pong(b"not yours %d" % number))
            case FaultKind.CLOSE:
                for client in self.clients:
                    client.close_reason = "closed on request"
            case FaultKind.SHUTDOWN:
                for client in self.clients:
                    self._run(self._shut_down(client, fault.seconds))
            case FaultKind.TAKE_AWAY:
                self._take_away(fault.symbol)
                return
            case FaultKind.REFUSE_SYMBOL | FaultKind.LEAVE_OUT | FaultKind.RATE:
                self._dialect.denials.add(fault.kind, fault.symbol, fault.count)
                return
            case _:
                self.faults.ask(fault)
                return
        self.faults.count_applied(fault.kind)

    def _count_kline(self, kind: str, **details: Any) -> None:
        self.faults.count_applied(FaultKind(kind), **details)

    def _take_away(self, symbol: str) -> None:
        now_us = self._now_us()
        for client in self.clients:
            trades = {
                name for kind, names in client.subscribed.items() if kind != "heartbeats" for name in names
            }
            taken = symbol or min(trades, default="")
            if taken in trades and (said := self._dialect.take_away(client, taken, now_us)):
                self._send(client, said, now_us)
                self.faults.count_applied(FaultKind.TAKE_AWAY, symbol=taken)

    async def _shut_down(self, client: Subscriber, seconds: float) -> None:
        now_us = self._now_us()
        self._send(client, self._dialect.closing(now_us), now_us)
        await asyncio.sleep(seconds)
        await client.socket.close(1001, "shutdown")

    def stats(self) -> dict[str, Any]:
        """Counts, subscriptions and the faults that happened."""
        return {
            **asdict(self.counts),
            "open_connections": len(self.clients),
            "subscribed": sum(len(names) for c in self.clients for names in c.subscribed.values()),
            "held_messages": self.faults.delayed,
            "rest_requests": self.rest.requests,
            "faults": {kind.value: count for kind, count in self.faults.done.items()},
        }

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._now_us() < self._refuse_until:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "simulated: no connections\n")
        return None

    async def _connection(self, socket: ServerConnection) -> None:
        now_us = self._now_us()
        client = Subscriber(socket, now_us, last_sent_us=now_us, last_ping_us=now_us)
        self.counts.connections += 1
        self._send(client, self._dialect.opened(client, now_us), now_us)
        self.clients.add(client)
        try:
            async for text in socket:
                self.counts.received_messages += 1
                if self._now_us() >= self._silent_until:
                    self._answer(client, text.encode() if isinstance(text, str) else text)
        except ConnectionClosed:
            pass  # a client may disconnect in any way
        finally:
            self.clients.discard(client)
            self.faults.forget(client)
            self.counts.closed_connections += 1

    def _answer(self, client: Subscriber, text: bytes) -> None:
        now_us = self._now_us()
        answers = self._dialect.answer(client, text, now_us)
        self._heard.update(*client.subscribed.values())
        self.counts.snapshot_trades += sum(message.trades for message in answers)
        self._send(client, answers, now_us)

    def _send(self, client: Subscriber, messages: list[Message], now_us: int) -> None:
        self.counts.sent_messages += len(messages)
        self.counts.sent_bytes += client.write(messages, now_us)

    def _keep(self, client: Subscriber, now_us: int) -> None:
        """Ping the client or close its connection when due."""
        if client.close_reason:
            self._run(client.socket.close(1000, client.close_reason))
            client.close_reason = ""
        ping_us = self._dialect.ping_seconds * 1e6
        if ping_us and now_us - client.last_ping_us >= ping_us:
            client.last_ping_us = now_us
            self._run(self._ping(client.socket, now_us))

    async def _ping(self, socket: ServerConnection, now_us: int) -> None:
        try:
            pong = await socket.ping(str(now_us // 1000))
            async with asyncio.timeout(PONG_SECONDS):
                await pong
            self.counts.pongs += 1
        except TimeoutError:
            await socket.close(1008, "no pong")
        except ConnectionClosed:
            pass

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _trades_once(trades: list[Message], sent: list[Message]) -> int:
    """Number of trades sent: delayed ones when they are sent, copies once, dropped ones never."""
    if sent is trades:
        return sum(message.trades for message in trades)
    return sum(message.trades for message in {id(message): message for message in sent}.values())
