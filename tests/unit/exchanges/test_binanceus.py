"""What differs between Binance US and Binance."""

import pytest

from k2stream.exchanges import BUILT_IN, raw
from k2stream.reconcile.oracle import venues
from k2stream.reconcile.oracle.engine import OracleEngine

FRAME = (
    b'{"stream":"btcusd@aggTrade","data":{"e":"aggTrade","E":1760000039998,"s":"BTCUSD","a":1,"p":"121410.53",'
    b'"q":"0.00008","f":1,"l":3,"T":1760000039997,"m":false,"M":true}}'
)
SYMBOLS = {
    "BTCUSD": "BTC/USD",
    "BTCUSDT": "BTC/USDT",
    "BNBUSD": "BNB/USD",
    "USDTUSD": "USDT/USD",
    "ETHBTC": "ETH/BTC",
    "USD": "USD",
    "ODD": "ODD",
}


def test_its_trades_are_its_own():
    trades = BUILT_IN["binanceus"].parse(FRAME).trades
    values = [raw.record(trade, 1, "c", 0) for trade in trades]
    of_each = {}
    for name in ("binance", "binanceus"):
        columns = BUILT_IN[name].normalize(raw.decode(BUILT_IN[name], values)[0])
        of_each[name] = columns.trade_count, columns.price
        assert columns.exchange == name
    assert of_each["binance"] == of_each["binanceus"] == ([3], ["121410.53"])


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_it_has_markets_in_dollars(symbol):
    assert BUILT_IN["binanceus"].canonical(symbol) == SYMBOLS[symbol]


def test_the_oracle_spells_them_alike():
    with OracleEngine() as engine:
        listed = ", ".join(f"'{symbol}'" for symbol in SYMBOLS)
        spelling = venues.for_exchange("binanceus").spelling
        rows = engine.rows(f"SELECT symbol, {spelling} FROM (SELECT arrayJoin([{listed}]) AS symbol)")
    assert dict(rows) == SYMBOLS
