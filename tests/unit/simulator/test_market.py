"""The simulated market."""

import re
from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from k2stream import instruments
from k2stream.model.instrument import Instrument
from k2stream.settings import Settings
from k2stream.simulator import protocols
from k2stream.simulator.assets import decimal
from k2stream.simulator.market import Market

INSTRUMENTS = instruments.load(Settings().feeds.instruments_file)
START = 1_700_000_000_000_000
MINUTE = 60_000_000


def market(exchange="binance", rate=200, seed=7, start=START):
    return Market(
        exchange,
        INSTRUMENTS.for_exchange(exchange),
        rate,
        seed,
        start,
        protocols.for_exchange(exchange).style,
    )


@pytest.mark.parametrize("exchange", ["binance", "kraken", "coinbase"])
def test_the_same_seed_gives_the_same_orders_however_often_it_is_asked(exchange):
    at_once = market(exchange).until(START + MINUTE)
    stepwise = market(exchange)
    orders = [order for step in range(1, 601) for order in stepwise.until(START + step * MINUTE // 600)]
    assert orders == at_once
    assert market(exchange, seed=8).until(START + MINUTE) != at_once


def test_an_exchange_that_starts_again_goes_on_above_its_old_ids():
    """Below them every trade is one that came before."""
    ended = {order.symbol: order.last_id for order in market(rate=10_000).until(START + MINUTE)}
    for order in market(rate=10, start=START + MINUTE).until(START + 2 * MINUTE):
        assert order.first_id > ended[order.symbol]


def test_nobody_trades_in_a_halt():
    resumed = START + 2 * MINUTE
    halting = market()
    (*_, last) = halting.until(START + MINUTE)
    halting.halted(resumed)
    orders = halting.until(resumed + MINUTE)
    assert orders
    assert all(order.time_us >= resumed for order in orders)
    ids = [order.first_id for order in orders if order.symbol == last.symbol]
    assert ids[0] == last.last_id + 1


def test_the_rate_is_that_of_trades():
    trades = sum(len(order.quantities) for order in market(rate=1000).until(START + MINUTE))
    assert trades == pytest.approx(60_000, rel=0.03)


def test_no_symbol_stays_quiet_for_long():
    times = defaultdict(list)
    for order in market(rate=100).until(START + MINUTE):
        times[order.symbol].append(order.time_us)
    assert set(times) == {item.symbol for item in INSTRUMENTS.for_exchange("binance")}
    gaps = [
        b - a for seen in times.values() for a, b in zip([START, *seen], [*seen, START + MINUTE], strict=True)
    ]
    assert max(gaps) < 3_000_000


def test_ids_and_order_numbers_are_contiguous_and_times_rise():
    orders = market(rate=2000).until(START + MINUTE)
    assert [order.time_us for order in orders] == sorted(order.time_us for order in orders)
    expected = {}
    for order in orders:
        if order.symbol in expected:
            assert (order.number, order.first_id) == expected[order.symbol]
        assert order.last_id - order.first_id + 1 == len(order.quantities)
        expected[order.symbol] = order.number + 1, order.last_id + 1
    assert max(len(order.quantities) for order in orders) == 3


def test_some_trades_are_identical_in_all_but_their_ids():
    orders = market("kraken", rate=500).until(START + MINUTE)
    same = Counter(
        (order.symbol, order.price, quantity, order.time_us)
        for order in orders
        for quantity in order.quantities
    )
    assert 0.01 < sum(count - 1 for count in same.values()) / sum(same.values()) < 0.15


@pytest.mark.parametrize(
    ("exchange", "pattern"),
    [
        ("binance", r"\d+\.\d{8}"),
        ("kraken", r"\d+\.\d{5}"),
        ("coinbase", r"\d+(\.\d*[1-9])?"),
    ],
)
def test_numbers_are_written_as_the_exchange_does(exchange, pattern):
    orders = market(exchange, rate=500).until(START + MINUTE)
    assert all(re.fullmatch(pattern, order.price) and Decimal(order.price) > 0 for order in orders)
    quantities = [quantity for order in orders for quantity in order.quantities]
    sizes = pattern.replace("{5}", "{8}")
    assert all(re.fullmatch(sizes, quantity) and Decimal(quantity) > 0 for quantity in quantities)
    for order in orders:
        assert Decimal(order.lots).scaleb(-order.lot_digits) == sum(map(Decimal, order.quantities))


def test_prices_move_and_stay_near_their_start():
    prices = [Decimal(o.price) for o in market(rate=2000).until(START + 2 * MINUTE) if o.symbol == "BTCUSDT"]
    assert len(set(prices)) > 100
    assert 70_000 < min(prices) < max(prices) < 100_000


def test_a_symbol_nobody_knows_trades_too():
    odd = Market(
        "binance",
        [Instrument("binance", "WOWUSDT", "WOW/USDT")],
        100,
        7,
        START,
        protocols.for_exchange("binance").style,
    )
    assert odd.until(START + MINUTE)


@pytest.mark.parametrize(
    ("mantissa", "digits", "shown", "text"),
    [
        (8328512, 2, 8, "83285.12000000"),
        (5, 8, 8, "0.00000005"),
        (2, 8, 0, "0.00000002"),
        (8328500, 2, 0, "83285"),
        (8328510, 2, 0, "83285.1"),
        (7, 0, 0, "7"),
        (700, 0, 0, "700"),
        (7, 0, 5, "7.00000"),
    ],
)
def test_decimal(mantissa, digits, shown, text):
    assert decimal(mantissa, digits, shown) == text
