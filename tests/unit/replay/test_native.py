"""Raw records made again from bronze normalise as the first ones did."""

import json
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from k2stream import exchanges, topics
from k2stream.avro import registry, trades, wire
from k2stream.batch import RecordBatch
from k2stream.delivery.route import Route
from k2stream.exchanges import raw
from k2stream.iceberg.tables import RENAMED
from k2stream.layers import bronze
from k2stream.mend import lift
from k2stream.model.trade import RawTrade
from k2stream.normalizer import normalize
from k2stream.replay import native
from k2stream.replay.bronze import named

SCHEMA_ID = 1004  # no registry of the other tests gets so far
NOW = 1_700_000_000_000_000
registry.learn(SCHEMA_ID, wire.declared("trade"))
ROUTES: dict[str, Route] = dict(zip(topics.EXCHANGES, bronze.ROUTES, strict=True))

PLAIN = {"e": "trade", "E": NOW // 1000, "s": "BTCUSDT", "p": "83000.10", "q": "2.50", "T": NOW // 1000}
PLAIN |= {"m": True, "M": True}
PAIR = {"pair": "XBT/USD", "price": "1.50000", "volume": "0.10000000", "time": "1700000000.000001"}
PAIR |= {"side": "b", "orderType": "l", "misc": ""}
PRODUCT = {"product_id": "BTC-USD", "price": "100.10", "size": "0.10", "side": "BUY"}
PRODUCT |= {"time": "2023-11-14T22:13:20.5Z", "type": "update"}
TRADES: dict[str, list[dict[str, Any]]] = {
    "binance": [
        *(PLAIN | {"t": number} for number in range(1, 6)),
        PLAIN | {"t": 6, "a": 71, "b": 72},
        {**PLAIN, "e": "aggTrade", "a": 9, "f": 3, "l": 5, "m": False},
        {name: value for name, value in PLAIN.items() if name != "E"} | {"t": 7},
        PLAIN | {"t": 9, "p": "no number"},
        PLAIN | {"t": 3},
        PLAIN | {"t": 10, "s": 'A"\\é', "M": None},
    ],
    "kraken": [PAIR, PAIR, PAIR | {"misc": 'odd "one"'}, PAIR | {"price": "0"}, PAIR | {"time": "now"}],
    "coinbase": [PRODUCT | {"trade_id": str(number)} for number in (5, 6, 9, 6)],
}


def record(trade, sequence, connection="conn-1"):
    body = json.dumps(trade).encode()
    return raw.record(
        RawTrade("", body), NOW + sequence, connection, sequence, backfilled="-rest-" in connection
    )


def batch(exchange, values):
    tp = TP(topics.raw(exchange), 1)
    symbols: list[bytes | None] = [b"symbol"] * len(values)
    held: list[bytes | None] = list(values)
    return RecordBatch(tp, np.arange(7, 7 + len(values)), np.full(len(values), NOW // 1000), symbols, held)


def outcome(exchange, given):
    done = normalize(
        exchanges.get(exchange), given, lambda symbol: None, str, schema_id=SCHEMA_ID, process_time=NOW
    )
    causes = [(letter.cause, letter.offset) for letter in done.dead_letters]
    return done.keys, done.values, done.positions, done.events, causes


def again(exchange, given):
    """What a replay reads from Iceberg of records that came."""
    rows = ROUTES[exchange].columns(given)
    rows = rows.rename_columns([RENAMED.get(name, name) for name in rows.column_names])
    return batch(exchange, native.records(exchange, named(exchange, rows)))


@pytest.mark.parametrize("exchange", TRADES)
@pytest.mark.parametrize("connection", ["conn-1", "kraken-rest-1"])
def test_they_normalise_the_same(exchange, connection):
    given = batch(
        exchange, [record(trade, number, connection) for number, trade in enumerate(TRADES[exchange])]
    )
    found = outcome(exchange, again(exchange, given))
    assert found == outcome(exchange, given)
    assert found[1]


def test_those_read_by_column_too():
    given = batch("binance", [record(PLAIN | {"t": number}, number) for number in range(1, 400)])
    assert outcome("binance", again("binance", given)) == outcome("binance", given)


def test_numbers_of_coinbase_keep_their_digits():
    trade = json.dumps(PRODUCT | {"trade_id": "7"}).replace('"100.10"', "100.10").replace('"0.10"', "1E-7")
    value = raw.record(RawTrade("", trade.encode()), NOW, "conn-1", 1)
    given = batch("coinbase", [value])
    assert b'"price":"100.10","size":"1E-7"' in again("coinbase", given).values[0]
    assert outcome("coinbase", again("coinbase", given))[:5] == outcome("coinbase", given)[:5]


@pytest.mark.parametrize("exchange", TRADES)
def test_a_record_that_was_published_again_above_used_offsets_stays_a_fetched_one(exchange):
    """Read from bronze, its copy would be late, and be missing in a candle that is rebuilt."""
    given = batch(exchange, [lift.backfilled(record(trade, 0)) for trade in TRADES[exchange]])
    found = outcome(exchange, again(exchange, given))
    assert found == outcome(exchange, given)
    conditions = trades.decode(found[1]).trade_conditions.tolist()
    assert all("backfilled" in said for said in conditions)
    live = outcome(exchange, batch(exchange, [record(trade, 0) for trade in TRADES[exchange]]))
    assert len(live[1]) == len(found[1])
