"""All simulated exchanges in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from k2stream.model import clock
from k2stream.model.instrument import Instrument
from k2stream.simulator import protocols
from k2stream.simulator.control import Control
from k2stream.simulator.denials import Denials
from k2stream.simulator.faults import Fault, FaultKind
from k2stream.simulator.market import Market, Order
from k2stream.simulator.venue import SimulatedVenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the exchanges behave. `rate` is trades per second in total; port 0 means a free one."""

    rate: float = 200.0
    seed: int = 7
    start_us: int | None = None
    """Simulated time at the start, µs since 1970; None: the wall clock."""

    ahead_seconds: float = 0.0
    """How far the exchanges' clocks are ahead of the wall clock; only used without `start_us`."""

    host: str = "127.0.0.1"
    ports: dict[str, int] = field(default_factory=dict)
    rest_ports: dict[str, int] = field(default_factory=dict)
    control_port: int = 0
    record: Path | None = None
    """File for JSON lines of all trades, whether or not they were sent."""

    faults: Sequence[tuple[float, Fault]] = ()
    """Repeated faults, as (interval in seconds, fault)."""

    ages: Mapping[str, float] = field(default_factory=dict)
    """Values in seconds that override a protocol's `ages`, by `<exchange>_<age>`."""

    tick_seconds: float = 0.01


class Simulator:
    """All simulated exchanges, as an async context manager that trades while it is open."""

    def __init__(self, instruments: Sequence[Instrument], options: Options) -> None:
        self.options = options
        started_us = clock.now_us()
        ahead_us = int(options.ahead_seconds * 1e6)
        self._start_us = started_us + ahead_us if options.start_us is None else options.start_us
        self._offset_us = self._start_us - started_us
        self._record: TextIO | None = None
        self._entered = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.control = Control(self)
        found: dict[str, list[Instrument]] = {}
        for item in instruments:
            found.setdefault(item.exchange, []).append(item)
        total = sum(protocols.for_exchange(name).share for name in found)
        self.venues = {
            name: self._venue(name, items, options.rate * protocols.for_exchange(name).share / total)
            for name, items in found.items()
        }

    def _venue(self, name: str, instruments: Sequence[Instrument], rate: float) -> SimulatedVenue:
        protocol, symbols = protocols.for_exchange(name), [item.symbol for item in instruments]
        market = Market(name, instruments, rate, self.options.seed, self._start_us, protocol.style)
        denials = Denials(
            lambda kind, symbol: self.venues[name].faults.count_applied(FaultKind(kind), symbol=symbol)
        )
        ages = {
            age: self.options.ages.get(f"{name}_{age}", default) for age, default in protocol.ages.items()
        }
        dialect = protocol.dialect(instruments, denials, **ages)
        return SimulatedVenue(
            protocol, dialect, market, symbols, self.options.seed, self._now_us, self._write
        )

    def _now_us(self) -> int:
        """The simulated exchanges' clock, in µs since 1970."""
        return clock.now_us() + self._offset_us

    async def __aenter__(self) -> Self:
        """Listen and start trading. Raises OSError for a port in use or a file that cannot be written."""
        host, ports, rest_ports = self.options.host, self.options.ports, self.options.rest_ports
        try:
            if self.options.record:
                self._record = self._entered.enter_context(self.options.record.open("w", encoding="utf-8"))
            for name, venue in self.venues.items():
                self._entered.push_async_callback(venue.close)
                await venue.start(host, ports.get(name, 0), rest_ports.get(name, 0))
            self._entered.push_async_callback(self.control.close)
            await self.control.start(host, self.options.control_port)
        except BaseException:
            await self._entered.aclose()
            raise
        for work in (self._trade(), *(self._repeat(every, fault) for every, fault in self.options.faults)):
            task = asyncio.create_task(work)
            self._tasks.append(task)
            self._entered.callback(task.cancel)
        return self

    async def run(self) -> None:
        """Trade forever; raises the error that ends the trading, so that it never stops silently."""
        await asyncio.gather(*self._tasks)

    async def __aexit__(self, *details: object) -> None:
        """Drop all connections."""
        await self._entered.aclose()

    @property
    def urls(self) -> dict[str, str]:
        """WebSocket URL by exchange."""
        return {name: venue.url for name, venue in self.venues.items()}

    @property
    def rest_urls(self) -> dict[str, str]:
        """REST base URL by exchange."""
        return {name: venue.rest.url for name, venue in self.venues.items()}

    def inject(self, fault: Fault) -> None:
        """Inject a fault; raises ValueError for an exchange that is not simulated."""
        if fault.exchange not in self.venues:
            raise ValueError(f"unknown exchange {fault.exchange!r}; use one of {', '.join(self.venues)}")
        self.venues[fault.exchange].inject(fault)

    def stop_trading(self) -> None:
        """Stop trading; connections stay alive with heartbeats."""
        for venue in self.venues.values():
            venue.stop_trading()

    def start_trading(self) -> None:
        """Resume trading after `stop_trading`."""
        for venue in self.venues.values():
            venue.start_trading()

    def stats(self) -> dict[str, Any]:
        """Exact counts for each exchange."""
        return {
            "simulated": True,
            "seed": self.options.seed,
            "rate": self.options.rate,
            "exchanges": {name: venue.stats() for name, venue in self.venues.items()},
        }

    async def _trade(self) -> None:
        while True:
            for venue in self.venues.values():
                venue.tick()
            await asyncio.sleep(self.options.tick_seconds)

    async def _repeat(self, every: float, fault: Fault) -> None:
        while True:
            await asyncio.sleep(every)
            self.inject(fault)

    def _write(self, exchange: str, orders: list[Order]) -> None:
        if not self._record:
            return
        for order in orders:
            for number, quantity in enumerate(order.quantities, order.first_id):
                trade = {
                    "exchange": exchange,
                    "symbol": order.symbol,
                    "id": number,
                    "time_us": order.time_us,
                    "price": order.price,
                    "quantity": quantity,
                    "taker_buy": order.taker_buy,
                }
                self._record.write(json.dumps(trade) + "\n")
        self._record.flush()
