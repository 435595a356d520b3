"""Past trades over REST are the same trades as on the socket."""

import json
from dataclasses import replace
from typing import Any

import pytest

from k2stream import exchanges
from k2stream.exchanges import raw
from k2stream.exchanges.rest.spec import HistoryError, refusal

BINANCE, KRAKEN, COINBASE = (exchanges.get(name) for name in ("binance", "kraken", "coinbase"))
REST: dict[str, Any] = {exchange.name: exchange.history for exchange in (BINANCE, KRAKEN, COINBASE)}
"""Of each exchange its `RestHistory`: some ask by id, others by time."""

# The examples of the exchanges' documentation, and the same trades as their sockets tell them.
OLD_TRADE = (
    b'[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,'
    b'"isBuyerMaker":true,"isBestMatch":true}]'
)
AGG_TRADE = (
    b'[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]'
)
TRADES = (
    b'{"error":[],"result":{"XXBTZUSD":[["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952],'
    b'["30243.30000","0.00376960",1688669598.2804112,"s","l","",61044953]],"last":"1688671969993150842"}}'
)
PRODUCT_TRADES = (
    b'[{"time":"2014-11-07T22:19:28.578544Z","trade_id":74,"price":"10.00000000","size":"0.01000000",'
    b'"side":"buy"},{"time":"2014-11-07T01:08:43.642366Z","trade_id":73,"price":"100.00000000",'
    b'"size":"0.01000000","side":"sell"}]'
)
CASES = [
    (
        BINANCE,
        REST[BINANCE.name].by_id("BNBBTC", "", 28457, 28457),
        OLD_TRADE,
        [(28457, 1499865549590000)],
        b'{"e":"trade","E":1499865549600,"s":"BNBBTC","t":28457,"p":"4.00000100","q":"12.00000000",'
        b'"T":1499865549590,"m":true,"M":true}',
    ),
    (
        BINANCE,
        REST[BINANCE.name].by_id("BNBBTC", "agg", 26129, 26129),
        AGG_TRADE,
        [(26129, 1498793709153000)],
        b'{"e":"aggTrade","E":1498793709160,"s":"BNBBTC","a":26129,"p":"0.01633102","q":"4.70443515",'
        b'"f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}',
    ),
    (
        KRAKEN,
        REST[KRAKEN.name].by_time("XBT/USD", 0),
        TRADES,
        [(61044952, 1688669597827736), (61044953, 1688669598280411)],
        b'[0,[["30243.40000","0.34507674","1688669597.827736","b","m",""],'
        b'["30243.30000","0.00376960","1688669598.280411","s","l",""]],"trade","XBT/USD"]',
    ),
    (
        COINBASE,
        REST[COINBASE.name].by_id("BTC-USD", "", 73, 74),
        PRODUCT_TRADES,
        [(73, 1415322523642366), (74, 1415398768578544)],
        b'{"channel":"market_trades","sequence_num":1,"events":[{"type":"update","trades":['
        b'{"trade_id":"74","product_id":"BTC-USD","price":"10","size":"0.01","side":"BUY",'
        b'"time":"2014-11-07T22:19:28.578544Z"},{"trade_id":"73","product_id":"BTC-USD","price":"100",'
        b'"size":"0.01","side":"SELL","time":"2014-11-07T01:08:43.642366Z"}]}]}',
    ),
]


def columns(exchange, trades):
    records, bad = raw.decode(exchange, [raw.record(trade, 1, "c", 0) for trade in trades])
    assert not bad
    made = exchange.normalize(records)
    made.vendor_data.pop("E", None)  # Binance's event time, which REST does not tell
    return replace(
        made, price=[float(text) for text in made.price], quantity=[float(text) for text in made.quantity]
    )


@pytest.mark.parametrize(("exchange", "request_", "answer", "named", "frame"), CASES)
def test_the_documented_answer_is_what_the_socket_says(exchange, request_, answer, named, frame):
    page = exchange.history.parse(request_, answer)
    assert [(past.id, past.time) for past in page.trades] == named
    past, live = (
        columns(exchange, items) for items in ((p.trade for p in page.trades), exchange.parse(frame).trades)
    )
    assert past == live


def test_bodies_have_the_literal_digits():
    bodies = [REST[CASES[n][0].name].parse(*CASES[n][1:3]).trades[0].trade.body for n in range(4)]
    assert bodies == [
        b'{"e":"trade","s":"BNBBTC","t":28457,"p":"4.00000100","q":"12.00000000","T":1499865549590,"m":true,'
        b'"M":true}',
        b'{"e":"aggTrade","s":"BNBBTC","a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,'
        b'"T":1498793709153,"m":true,"M":true}',
        b'{"pair":"XBT/USD","price":"30243.40000","volume":"0.34507674","time":"1688669597.8277369","side":"b",'
        b'"orderType":"m","misc":""}',
        b'{"product_id":"BTC-USD","trade_id":"73","price":"100.00000000","size":"0.01000000",'
        b'"time":"2014-11-07T01:08:43.642366Z","side":"SELL","type":"update"}',
    ]


def test_requests():
    history = REST[BINANCE.name]
    assert history.by_id("BNBBTC", "", 7, 9)[2:] == (
        "/api/v3/historicalTrades",
        {"symbol": "BNBBTC", "fromId": "7", "limit": "3"},
    )
    assert history.by_id("BNBBTC", "agg", 7, 9_999)[2:] == (
        "/api/v3/aggTrades",
        {"symbol": "BNBBTC", "fromId": "7", "limit": "1000"},
    )
    assert REST[COINBASE.name].by_id("BTC-USD", "", 7, 9)[2:] == (
        "/products/BTC-USD/trades",
        {"after": "10", "limit": "1000"},
    )
    assert REST[COINBASE.name].by_id("BTC-USD", "", 7, 9_999).query["after"] == "1007"
    assert REST[KRAKEN.name].by_time("XBT/USD", 5)[2:] == (
        "/0/public/Trades",
        {"pair": "XBT/USD", "since": "5", "count": "1000"},
    )


def test_kraken_says_where_to_go_on():
    assert REST[KRAKEN.name].parse(CASES[2][1], TRADES).next == 1688671969993150842
    empty = b'{"error":[],"result":{"XBT/USD":[],"last":"17"}}'
    assert REST[KRAKEN.name].parse(CASES[2][1], empty) == ([], 17, [])


def test_microseconds_of_binance_are_taken_as_such():
    answer = OLD_TRADE.replace(b"1499865549590", b"1499865549590123")
    assert REST[BINANCE.name].parse(CASES[0][1], answer).trades[0].time == 1499865549590123


@pytest.mark.parametrize(("exchange", "request_", "answer"), [case[:3] for case in CASES])
@pytest.mark.parametrize("damage", ["cut", "html", "object", "deep"])
def test_what_is_no_answer_is_named(exchange, request_, answer, damage):
    damaged = {
        "cut": answer[:-9],
        "html": b"<html>Bad gateway</html>",
        "object": b'{"hello":1}',
        "deep": b"[" * 100_000,
    }[damage]
    with pytest.raises(HistoryError, match=r"not the documented answer: .*; it begins") as error:
        exchange.history.parse(request_, damaged)
    assert not error.value.final


BAD = [
    (OLD_TRADE, b"28457,", b'"x",'),
    (AGG_TRADE, b'"a":26129', b'"a":null'),
    (TRADES, b"1688669597.8277369", b"1e9"),
    (TRADES, b"1688669597.8277369", b'"1688669597.8"'),
    (TRADES, b",61044952]", b"]"),
    (TRADES, b'["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952]', b"null"),
    (PRODUCT_TRADES, b'"trade_id":74', b'"trade_id":7.4'),
    (PRODUCT_TRADES, b'"trade_id":74', b'"trade_id":"74"'),
    (PRODUCT_TRADES, b'"10.00000000","size":"0.01000000","side":"buy"', b'"10.00000000","size":"0.01000000"'),
]


@pytest.mark.parametrize(("answer", "good", "bad"), BAD)
def test_a_row_that_cannot_be_read_costs_no_other_row(answer, good, bad):
    """Another row stands before and behind it, as in a page of many."""
    exchange, request = next(case[:2] for case in CASES if case[2] == answer)
    parse = REST[exchange.name].parse
    whole = parse(request, answer)
    damaged = answer.replace(good, bad)
    assert damaged != answer
    if answer[:1] == b"[":
        damaged = b"[%b,%b,%b]" % (answer[1:-1], damaged[1:-1], answer[1:-1])
    else:
        rows = damaged.index(b'D":[') + 3
        start = damaged.index(b"]]")
        kept = answer[answer.index(b"[[") + 1 : answer.index(b"]]") + 1]
        damaged = b"%b[%b,%b,%b]%b" % (
            damaged[:rows], kept, damaged[rows + 1 : start + 1], kept, damaged[start + 2 :]
        )  # fmt: skip
    page = parse(request, damaged)
    assert len(page.rejects) == 1 and page.rows == 3 * whole.rows
    (reject,) = page.rejects
    assert reject.cause and reject.original in damaged and bad in reject.original
    assert {item.id for item in page.trades} == {item.id for item in whole.trades}


@pytest.mark.parametrize("case", [0, 1], ids=["trade", "aggTrade"])
def test_a_field_that_binance_says_to_ignore_may_be_absent(case):
    exchange, request, answer, named, frame = CASES[case]
    cut = answer.replace(b',"isBestMatch":true', b"").replace(b',"M":true', b"")
    (item,) = REST[exchange.name].parse(request, cut).trades
    assert (item.id, item.time) == named[0]
    (live,) = exchange.parse(frame.replace(b',"M":true', b"")).trades
    assert columns(exchange, [item.trade]) == columns(exchange, [live])


@pytest.mark.parametrize(
    ("error", "final"),
    [
        ("EAPI:Rate limit exceeded", False),
        ("EService:Unavailable", False),
        ("EQuery:Unknown asset pair", True),
    ],
)
def test_errors_of_kraken_come_with_200(error, final):
    with pytest.raises(HistoryError, match=error) as caught:
        REST[KRAKEN.name].parse(CASES[2][1], json.dumps({"error": [error]}).encode())
    assert caught.value.final is final


@pytest.mark.parametrize(
    ("status", "body", "said", "final"),
    [
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', "HTTP 400: Invalid symbol.", True),
        (401, b'{"code":-2014,"msg":"API-key format invalid."}', "HTTP 401: API-key format", True),
        (404, b'{"message":"NotFound"}', "HTTP 404: NotFound", True),
        (429, b'{"code":-1003,"msg":"Too much request weight used"}', "HTTP 429: Too much request", False),
        (404, b"<h1>no such page</h1>", "HTTP 404: <h1>no such page</h1>", False),
        (418, b"[1]", "HTTP 418: [1]", False),
        (451, b"", "HTTP 451: no text", False),
        (503, b"<html>\n down\xff", "HTTP 503: <html> down", False),
    ],
)
def test_statuses_are_told_with_the_exchanges_words(status, body, said, final):
    error = refusal(status, body)
    assert str(error).startswith(said) and "\n" not in str(error)
    assert error.final is final
