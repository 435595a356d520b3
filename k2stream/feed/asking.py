"""Subscribes to a connection's symbols: first to all, then again to those that are not subscribed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from websockets.exceptions import ConnectionClosed

from k2stream.backoff import Backoff
from k2stream.exchanges.spec import Exchange
from k2stream.feed.subscriptions import Subscriptions
from k2stream.model.instrument import Instrument

SPACING_SECONDS = 0.25  # all exchanges accept at least 5 messages per second
ANSWER_SECONDS = 10.0  # an exchange that has not responded by then does not send trades either
STABLE_SECONDS = 60.0  # a subscription or connection that lasted this long resets its backoff


class Asker:
    """Sends one connection's subscriptions while `run` runs; set `changed` when states may have changed."""

    def __init__(
        self,
        exchange: Exchange,
        instruments: Mapping[str, Instrument],
        subscriptions: Subscriptions,
        send: Callable[[str], Awaitable[None]],
        give_up: Callable[[Sequence[str]], Awaitable[None]],
        new_backoff: Callable[[], Backoff],
    ) -> None:
        """Create an asker; `give_up` is called with symbols that were not answered in time."""
        self.changed = asyncio.Event()
        self._exchange = exchange
        self._instruments = instruments
        self._subscriptions = subscriptions
        self._send = send
        self._give_up = give_up
        self._new_backoff = new_backoff
        self._backoff: dict[str, Backoff] = {}
        self._asked: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._number = 1

    async def run(self) -> None:
        """Subscribe, and repeat as needed, until the connection ends."""
        with contextlib.suppress(ConnectionClosed):  # the receiving side reports the reason
            symbols = list(self._instruments)
            await self._ask(symbols)
            if self._exchange.heartbeats:
                await self._send(self._exchange.heartbeats)
                await asyncio.sleep(SPACING_SECONDS)
            await self._answered(symbols)
            await self._ask_again()

    async def _ask_again(self) -> None:
        """Repeat subscriptions after a backoff, one request at a time so that responses are unambiguous."""
        loop = asyncio.get_running_loop()
        most = 1 if self._exchange.refuses_whole else None
        while True:
            self.changed.clear()
            down, now = self._subscriptions.down, loop.time()
            waits = [self._wait(symbol, now) for symbol in down if symbol not in self._due]
            again = now + max(waits, default=0.0)  # symbols that failed together are requested together
            self._due = {symbol: self._due.get(symbol, again) for symbol in down}
            if due := [symbol for symbol in down if self._due[symbol] <= now][:most]:
                await self._ask(due)
                await self._answered(due)
                for symbol in due:
                    del self._due[symbol]
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._due.values(), default=None)):
                    await self.changed.wait()

    def _wait(self, symbol: str, now: float) -> float:
        backoff = self._backoff.setdefault(symbol, self._new_backoff())
        if now - self._asked[symbol] >= STABLE_SECONDS:
            backoff.reset()
        return backoff.next()

    async def _ask(self, symbols: Sequence[str]) -> None:
        requests = self._exchange.subscribe([self._instruments[symbol] for symbol in symbols], self._number)
        self._number += len(requests)
        now = asyncio.get_running_loop().time()
        self._asked |= dict.fromkeys(symbols, now)
        for request in requests:
            self._subscriptions.ask(request)
            await self._send(request.text)
            await asyncio.sleep(SPACING_SECONDS)

    async def _answered(self, symbols: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._no_longer_waiting(symbols)
        except TimeoutError:
            await self._give_up(symbols)
            await self._no_longer_waiting(symbols)

    async def _no_longer_waiting(self, symbols: Sequence[str]) -> None:
        while self._subscriptions.waiting(symbols):
            self.changed.clear()
            await self.changed.wait()
