"""A simulated exchange's own candles, summed up from its orders; some can be made wrong or missing."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Any

from k2stream.simulator.market import Order

MINUTE_US = 60_000_000
MOST_MINUTES = 1500
"""Minutes of each symbol that are kept: a day and an hour."""

WRONG, MISSING = "wrong_kline", "missing_kline"
FIELDS = ("open", "high", "low", "close", "volume")
"""What is made wrong; every exchange says these."""

_EXACT = Context(prec=80)


@dataclass(slots=True)
class SimulatedKline:
    """A window of `minutes` from a minute since 1970 on; amounts are exact.

    `opened` and `closed` are the time (µs) and id of the first and last order.
    """

    minute: int
    minutes: int
    opened: tuple[int, int]
    closed: tuple[int, int]
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)
    taker_volume: Decimal = Decimal(0)
    taker_quote: Decimal = Decimal(0)
    count: int = 0

    @property
    def start_ms(self) -> int:
        """Its start, in ms since 1970."""
        return self.minute * 60_000

    @property
    def end_ms(self) -> int:
        """Its end, in ms since 1970."""
        return self.start_ms + self.minutes * 60_000

    def take(self, order: Order, price: Decimal) -> None:
        """Add an order."""
        place = order.time_us, order.first_id
        if place <= self.opened:
            self.open, self.opened = price, place
        if place >= self.closed:
            self.close, self.closed = price, place
        self.high, self.low = max(self.high, price), min(self.low, price)
        volume = Decimal(order.lots).scaleb(-order.lot_digits)
        quote = _EXACT.multiply(price, volume)
        self.volume, self.quote = _EXACT.add(self.volume, volume), _EXACT.add(self.quote, quote)
        if order.taker_buy:
            self.taker_volume = _EXACT.add(self.taker_volume, volume)
            self.taker_quote = _EXACT.add(self.taker_quote, quote)
        self.count += len(order.quantities)

    def join(self, later: SimulatedKline) -> None:
        """Add a later minute of the same window."""
        self.close, self.closed = later.close, later.closed
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.volume, self.quote = _EXACT.add(self.volume, later.volume), _EXACT.add(self.quote, later.quote)
        self.taker_volume = _EXACT.add(self.taker_volume, later.taker_volume)
        self.taker_quote = _EXACT.add(self.taker_quote, later.taker_quote)
        self.count += later.count


class PastKlines:
    """The klines of each symbol, from the first whole window of the market on.

    `began_us` is the start of the market, `now_us` its clock, both in µs since 1970. A kline that is made
    wrong or left out stays so; `count_applied(kind, **details)` is called for it once.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        began_us: int,
        now_us: Callable[[], int],
        count_applied: Callable[..., None] = lambda kind, **details: None,
    ) -> None:
        self._minutes: dict[str, deque[SimulatedKline]] = {symbol: deque() for symbol in symbols}
        self._begin = -(-began_us // MINUTE_US)
        self._now_us = now_us
        self._count_applied = count_applied
        self._due: Counter[tuple[str, str]] = Counter()
        self._faults: dict[tuple[str, int, int], str] = {}  # what is wrong with each window that was served

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._minutes

    def add(self, orders: Iterable[Order]) -> None:
        """Add orders; one may be dated in a minute before that of the last one."""
        for order in orders:
            price = Decimal(order.price)
            self._window(order, price).take(order, price)

    def _window(self, order: Order, price: Decimal) -> SimulatedKline:
        held, minute = self._minutes[order.symbol], order.time_us // MINUTE_US
        after = 0
        for window in reversed(held):
            if window.minute == minute:
                return window
            if window.minute < minute:
                break
            after += 1
        place = order.time_us, order.first_id
        window = SimulatedKline(minute, 1, place, place, price, price, price, price)
        held.insert(len(held) - after, window)
        if len(held) > MOST_MINUTES:
            self._begin = max(self._begin, held.popleft().minute + 1)
        return window

    def disturb(self, kind: str, symbol: str, count: int) -> None:
        """Serve the next `count` new closed windows of a symbol ("" for any) WRONG, or MISSING."""
        self._due[kind, symbol] += count

    def windows(self, symbol: str, minutes: int, first_ms: int, last_ms: int) -> list[SimulatedKline]:
        """The klines that start from `first_ms` to `last_ms`, oldest first; the newest may be open still."""
        asked = (kline for kline in self._joined(symbol, minutes) if first_ms <= kline.start_ms <= last_ms)
        return [served for kline in asked if (served := self._with_fault(symbol, kline)) is not None]

    def _joined(self, symbol: str, minutes: int) -> Iterator[SimulatedKline]:
        whole: SimulatedKline | None = None
        for part in self._minutes[symbol]:
            start = part.minute // minutes * minutes
            if whole is not None and whole.minute == start:
                whole.join(part)
                continue
            if whole is not None:
                yield whole
            whole = replace(part, minute=start, minutes=minutes) if start >= self._begin else None
        if whole is not None:
            yield whole

    def _with_fault(self, symbol: str, kline: SimulatedKline) -> SimulatedKline | None:
        if kline.end_ms * 1000 > self._now_us():
            return kline
        place = symbol, kline.minutes, kline.minute
        if place not in self._faults:
            self._faults[place] = self._fault(symbol, kline)
        fault = self._faults[place]
        if fault == MISSING:
            return None
        changed: dict[str, Any] = {fault: _next(getattr(kline, fault))} if fault else {}
        return replace(kline, **changed)

    def _fault(self, symbol: str, kline: SimulatedKline) -> str:
        """MISSING, the field to be wrong, or nothing."""
        for kind in (MISSING, WRONG):
            for due in ((kind, symbol), (kind, "")):
                if self._due[due] > 0:
                    self._due[due] -= 1
                    field = FIELDS[kline.count % len(FIELDS)] if kind == WRONG else MISSING
                    at = {"minutes": kline.minutes, "open_time": kline.start_ms}
                    self._count_applied(kind, symbol=symbol, field=field if kind == WRONG else "", **at)
                    return field
        return ""


def _next(value: Decimal) -> Decimal:
    """The next larger value of as many digits."""
    return _EXACT.add(value, Decimal((0, (1,), int(value.as_tuple().exponent))))
