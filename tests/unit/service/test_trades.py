"""A store of trades behind the service, and the SQL that reads it."""

from decimal import Decimal

import pytest

from k2stream.clickhouse.numbered import statement, trade
from k2stream.model.instrument import Instrument
from k2stream.model.trades import NumberedTrade, TradeQuery
from k2stream.service.trades import NoTrades, StoredTrades
from k2stream.web.query import RequestError

SYMBOL = Instrument("one", "AB", "A/B")
FOUND = NumberedTrade(7, 7, 7, 1, Decimal(2), Decimal(3), True)


class Failing:
    def read(self, instrument, query):
        raise OSError("connection refused\nby somebody")


class Holding:
    def read(self, instrument, query):
        assert (instrument, query) == (SYMBOL, TradeQuery(1))
        return [FOUND]


async def test_a_store_is_read_in_a_thread():
    assert await StoredTrades(Holding()).read(SYMBOL, TradeQuery(1)) == [FOUND]


@pytest.mark.parametrize("trades", [StoredTrades(Failing()), NoTrades()])
async def test_a_store_that_fails_is_unavailable(trades):
    with pytest.raises(RequestError) as raised:
        await trades.read(SYMBOL, TradeQuery(1))
    assert raised.value.status == 503


@pytest.mark.parametrize(
    ("query", "where", "order"),
    [
        (TradeQuery(5), "", "timestamp DESC, id DESC"),
        (TradeQuery(5, first=7), " AND id >= 7", "id"),
        (TradeQuery(5, start=1), " AND timestamp >= fromUnixTimestamp64Milli(1)", "timestamp, id"),
        (TradeQuery(5, end=2), " AND timestamp < fromUnixTimestamp64Milli(2)", "timestamp DESC, id DESC"),
    ],
)
def test_the_sql_of_a_query(query, where, order):
    assert statement("k2.silver_trades", query).endswith(
        f"FROM k2.silver_trades WHERE exchange = %(exchange)s AND canonical_symbol = %(canonical)s{where} "
        f"ORDER BY {order} LIMIT 1 BY raw_partition, raw_offset LIMIT 5"
    )


def test_an_aggregated_trade_names_those_in_it():
    price, quantity = Decimal("2"), Decimal("3")
    assert trade(7, 1, price, quantity, 1, {}) == NumberedTrade(7, 7, 7, 1, price, quantity, True)
    assert trade(7, 1, price, quantity, 0, {"f": "70", "l": "75"})[:3] == (7, 70, 75)
