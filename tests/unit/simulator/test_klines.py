"""A simulated exchange's klines are what its trades give, and wrong only where that was asked for."""

from collections import defaultdict
from decimal import Decimal

import pytest

from k2stream import instruments
from k2stream.resources import CONFIG
from k2stream.simulator import protocols
from k2stream.simulator.market import Market
from k2stream.simulator.rest.klines import FIELDS, MISSING, WRONG, PastKlines

START = 1_760_000_390_000_000
MINUTES = 9
NAMES = ("binance", "kraken", "coinbase")


class Past:
    """Minutes of trading, and the klines of them; `now` is the clock, in µs."""

    def __init__(self, name="binance"):
        listed = instruments.load(CONFIG / "instruments.yaml", {name}).for_exchange(name)[:2]
        self.symbols = [item.symbol for item in listed]
        self.now = START + MINUTES * 60_000_000
        market = Market(name, listed, 30, 1, START, protocols.for_exchange(name).style)
        self.orders, self.log = market.until(self.now), []
        self.klines = PastKlines(self.symbols, START, lambda: self.now, self.note)
        self.klines.add(self.orders)

    def note(self, kind, **details):
        self.log.append((kind, details))

    def windows(self, symbol, minutes=1):
        return self.klines.windows(symbol, minutes, 0, 2**53)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("minutes", [1, 5])
def test_klines_are_what_the_trades_give(name, minutes):
    past = Past(name)
    trades = defaultdict(list)
    for order in past.orders:
        for quantity in order.quantities:
            opened = order.time_us // 60_000_000 // minutes * minutes
            amounts = Decimal(order.price), Decimal(quantity)
            trades[order.symbol, opened].append((*amounts, order.taker_buy))
    for symbol in past.symbols:
        found = past.windows(symbol, minutes)
        whole = [opened for of, opened in trades if of == symbol and opened * 60_000_000 >= START]
        assert [kline.minute for kline in found] == sorted(whole)
        for kline in found:
            rows = trades[symbol, kline.minute]
            prices = [price for price, _, _ in rows]
            assert (kline.open, kline.close) == (prices[0], prices[-1])
            assert (kline.high, kline.low, kline.count) == (max(prices), min(prices), len(rows))
            assert kline.volume == sum(quantity for _, quantity, _ in rows)
            assert kline.quote == sum(price * quantity for price, quantity, _ in rows)
            assert kline.taker_volume == sum(quantity for _, quantity, buys in rows if buys)
            assert kline.taker_quote == sum(price * quantity for price, quantity, buys in rows if buys)


def test_an_order_dated_earlier_goes_into_its_window():
    past = Past()
    symbol = past.symbols[0]
    before = past.windows(symbol)
    late = next(order for order in reversed(past.orders) if order.symbol == symbol)
    first = before[0].opened[0] - 1
    past.klines.add([late._replace(time_us=first, price="1.5")])
    after = past.windows(symbol)
    assert [kline.minute for kline in after] == [kline.minute for kline in before]
    assert (after[0].open, after[0].low, after[0].close) == (Decimal("1.5"), Decimal("1.5"), before[0].close)
    assert after[0].count == before[0].count + len(late.quantities)
    assert after[1:] == before[1:]


def test_as_many_closed_windows_as_asked_are_wrong_in_one_field_each_and_stay_so():
    past = Past()
    one, other = past.symbols
    right = {symbol: past.klines.windows(symbol, 5, 0, 2**53) for symbol in past.symbols}
    fresh = Past()
    fresh.klines.disturb(WRONG, one, 2)
    told = fresh.windows(one), fresh.windows(other)
    assert [details["symbol"] for _, details in fresh.log] == [one, one]
    assert told == (fresh.windows(one), fresh.windows(other))
    assert told[1] == past.windows(other) and fresh.klines.windows(other, 5, 0, 2**53) == right[other]
    for kline, actual in zip(told[0], past.windows(one), strict=True):
        wrong = [name for name in FIELDS if getattr(kline, name) != getattr(actual, name)]
        noted = [d["field"] for _, d in fresh.log if d["open_time"] == kline.start_ms]
        assert wrong == noted
        assert all(getattr(kline, name) > getattr(actual, name) for name in wrong)


def test_windows_are_left_out_when_asked_and_open_ones_never():
    past = Past()
    symbol = past.symbols[0]
    past.now = START + 5 * 60_000_000
    past.klines.disturb(MISSING, "", 100)
    shown = past.windows(symbol)
    assert shown and all(kline.end_ms * 1000 > past.now for kline in shown)
    assert {kind for kind, _ in past.log} == {MISSING}
