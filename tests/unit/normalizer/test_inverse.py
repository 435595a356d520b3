"""Canonical trades say as much of a symbol's continuity as the records that they were made from."""

import msgspec
import numpy as np
import pytest

from k2stream.avro import trades
from k2stream.model.events import EventKind
from k2stream.normalizer import SymbolPosition, continuity, inverse
from k2stream.normalizer.continuity import content
from tests.unit.normalizer.test_normalizer import (
    BINANCE,
    COINBASE,
    KRAKEN,
    aggregated,
    binance,
    coinbase,
    kraken,
    run,
)

RECORDS = {
    "trades": (
        BINANCE,
        [binance(41), binance(42, price="0.00000001", b=7, a=8), binance(50, symbol="ETHUSDT")],
    ),
    "aggregates": (BINANCE, [binance(41), aggregated(7, 42, 44), aggregated(8, 45, 45), binance(46)]),
    "rising ids": (COINBASE, [coinbase(5), coinbase(6, price="1e3"), coinbase(9, symbol="ETH-USD")]),
    "no ids": (
        KRAKEN,
        [kraken(), kraken(), kraken(price="2.50"), kraken(time="1700000001.5"), kraken(symbol="XDG/USD")],
    ),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_what_was_normalized_is_known_by_its_canonical_trades(kind):
    exchange, records = RECORDS[kind]
    first = run(exchange, records)
    assert len(first.values) == len(records)
    columns = inverse.columns(exchange, trades.decode(first.values))
    checked = continuity.check(exchange.continuity, columns, {})
    assert checked.keep.all()
    assert [event.kind for event in checked.events] == [event.kind for event in first.events]
    positions = {symbol: SymbolPosition(-1, state) for symbol, state in checked.states.items()}
    assert positions.keys() == first.positions.keys()
    again = run(exchange, records, positions, first_offset=100)
    assert not again.values and not again.dead_letters
    assert again.counted(EventKind.DUPLICATE) == len(records)


@pytest.mark.parametrize("kind", ["trades", "aggregates", "rising ids"])
def test_the_states_are_the_same_where_no_connection_matters(kind):
    exchange, records = RECORDS[kind]
    first = run(exchange, records)
    columns = inverse.columns(exchange, trades.decode(first.values))
    states = continuity.check(exchange.continuity, columns, {}).states
    assert states == {symbol: position.state for symbol, position in first.positions.items()}


@pytest.mark.parametrize("kind", RECORDS)
def test_contents_are_hashed_alike(kind):
    exchange, records = RECORDS[kind]
    columns = inverse.columns(exchange, trades.decode(run(exchange, records).values))
    decoded = [msgspec.json.decode(value, type=exchange.record) for _, value in records]
    assert np.array_equal(content.parsed(columns), content.parsed(exchange.normalize(decoded)))
