"""Traps of Binance's combined streams."""

import json

import pytest

from k2stream import exchanges
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Answer, Kind, Subscription
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument

BINANCE = exchanges.get("binance")

TRADE = {
    "e": "trade",
    "E": 1672515782136,
    "s": "BNBBTC",
    "t": 12345,
    "p": "0.00100000",
    "q": "100",
    "T": 1672515782100,
    "m": True,
    "M": True,
}
AGG = {
    "e": "aggTrade",
    "E": 1672515782136,
    "s": "BNBBTC",
    "a": 12345,
    "p": "0.001",
    "q": "100",
    "f": 100,
    "l": 105,
    "T": 1672515782136,
    "m": True,
    "M": True,
}


def parse(message):
    return BINANCE.parse(json.dumps(message).encode())


def columns(*messages):
    values = [raw.record(trade, 1, "c", 0) for message in messages for trade in parse(message).trades]
    records, bad = raw.decode(BINANCE, values)
    assert not bad
    return BINANCE.normalize(records)


def without(message, *fields):
    return {name: value for name, value in message.items() if name not in fields}


def test_subscribe_names_every_field_and_the_stream_of_each_instrument():
    asked = [
        Instrument("binance", "BTCUSDT", "BTC/USDT"),
        Instrument("binance", "ETHUSDT", "ETH/USDT", "aggTrade"),
    ]
    (request,) = BINANCE.subscribe(asked)
    assert request.symbols == ("BTCUSDT", "ETHUSDT")
    assert json.loads(request.text) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@trade", "ethusdt@aggTrade"],
        "id": 1,
    }


def test_subscribe_1024_streams_in_under_5_messages_and_refuses_more():
    asked = [Instrument("binance", f"S{number}USDT", f"S{number}/USDT") for number in range(1025)]
    requests = BINANCE.subscribe(asked[:1024], 7)
    frames = [json.loads(request.text) for request in requests]
    assert len(frames) < 5
    assert sum(len(frame["params"]) for frame in frames) == 1024
    assert [frame["id"] for frame in frames] == [request.number for request in requests] == [7, 8, 9, 10]
    assert [item.symbol for item in asked[:1024]] == [
        name for request in requests for name in request.symbols
    ]
    with pytest.raises(ConfigError, match="1025 instruments"):
        BINANCE.subscribe(asked)


def test_body_is_the_literal_text_of_the_data():
    data = (
        b'{"e":"trade", "E":1672515782136,"s":"BNBBTC","t":1,"p":"0.0010000","q":"1e2","T":1,"m":true,"M":0}'
    )
    (trade,) = BINANCE.parse(b' {"stream":"bnbbtc@trade","data":' + data + b"}\n").trades
    assert trade == ("BNBBTC", data)


def test_single_stream_frame_needs_no_wrapper():
    assert parse(TRADE).kind is Kind.TRADES
    assert parse({"stream": "bnbbtc@trade", "data": TRADE}).trades[0].symbol == "BNBBTC"


def test_maker_buyer_means_the_taker_sold():
    assert columns(TRADE, TRADE | {"m": False}).taker_buy == [False, True]


def test_candles_are_cut_by_T_not_by_E():
    assert columns(TRADE).timestamp == [1672515782100_000]


def test_microsecond_times_are_told_from_milliseconds():
    assert columns(TRADE | {"T": 1672515782100123}).timestamp == [1672515782100123]


def test_order_ids_are_optional():
    assert "b" not in columns(TRADE).vendor_data
    mixed = columns(TRADE, TRADE | {"b": 88, "a": 50}).vendor_data
    assert (mixed["b"], mixed["a"]) == (["", "88"], ["", "50"])


def test_agg_trade_stands_for_last_minus_first_plus_one_trades():
    both = columns(AGG, TRADE)
    assert both.trade_count == [6, 1]
    assert both.trade_id == ["12345", "12345"]
    assert both.numbering == ["agg", ""]
    assert both.vendor_data["f"] == ["100", ""]


@pytest.mark.parametrize("last", [99, 100 + 2**31, -1])
def test_agg_trade_of_an_impossible_range_is_rejected(last):
    assert parse(AGG | {"l": last}).kind is Kind.REJECTED


@pytest.mark.parametrize(
    "message",
    [
        {"u": 400900217, "s": "BNBUSDT", "b": "25.35", "B": "31.21", "a": "25.36", "A": "40.66"},
        {"stream": "bnbusdt@bookTicker", "data": {"u": 1, "s": "BNBUSDT", "b": "1", "a": "2"}},
        {"e": "kline", "E": 1, "s": "BNBBTC", "k": {}},
        {"e": "depthUpdate"},
        {"e": ["trade"]},
        {"e": None},
        {"stream": "!ticker@arr", "data": [TRADE]},
        {"stream": "bnbbtc@trade", "data": None},
        [TRADE],
        {},
        7,
        None,
    ],
)
def test_other_messages_are_unknown(message):
    frame = parse(message)
    assert (frame.kind, frame.trades) == (Kind.UNKNOWN, ())


@pytest.mark.parametrize("extra", [{"X": "MARKET"}, {"nq": "0.01"}, {"s": "BTCUSD_PERP"}])
def test_futures_trades_are_unknown(extra):
    for message in (TRADE, AGG):
        assert parse(without(message, "M") | extra).kind is Kind.UNKNOWN
        assert parse(message | extra).kind is Kind.TRADES  # only spot has `M`


def test_a_spot_trade_without_M_is_a_trade():
    for message in (TRADE, AGG):
        bare = without(message, "M")
        assert columns(bare) == columns(message)
        assert parse(bare | {"p": 1.5}).kind is Kind.REJECTED


@pytest.mark.parametrize("message", [{"result": None, "id": 1}, {"result": ["a@trade"], "id": 3}])
def test_confirmations_are_control(message):
    frame = parse(message)
    confirmed = Answer(Subscription.CONFIRMED, request=1) if message["result"] is None else None
    assert (frame.kind, frame.answer) == (Kind.CONTROL, confirmed)


@pytest.mark.parametrize(
    "message",
    [
        {"error": {"code": 2, "msg": "Invalid request: unknown variant"}, "id": 1},
        {"code": 2, "msg": "Invalid request: unknown variant"},
    ],
)
def test_errors_keep_their_text(message):
    frame = parse(message)
    assert (frame.kind, frame.detail) == (Kind.ERROR, "2 Invalid request: unknown variant")
    assert frame.answer == Answer(Subscription.REFUSED, request=message.get("id"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"p": 1.5},
        {"q": None},
        {"t": "1"},
        {"t": -1},
        {"t": 2**63},
        {"t": None},
        {"T": 1.5},
        {"T": -1},
        {"T": 10**16},
        {"m": 1},
        {"s": ""},
        {"s": None},
        {"s": "x" * 65},
    ],
)
def test_wrong_types_are_rejected_with_cause_and_original(wrong):
    frame = parse(TRADE | wrong)
    assert (frame.kind, frame.trades) == (Kind.REJECTED, ())
    assert f"$.{next(iter(wrong))}" in frame.rejects[0].cause
    assert json.loads(frame.rejects[0].original) == TRADE | wrong


@pytest.mark.parametrize("field", ["t", "p", "q", "T", "m", "s"])
def test_missing_fields_are_rejected(field):
    assert field in parse(without(TRADE, field)).rejects[0].cause


@pytest.mark.parametrize(
    ("native", "canonical"),
    [
        ("BTCUSDT", "BTC/USDT"),
        ("BTCFDUSD", "BTC/FDUSD"),
        ("ETHBTC", "ETH/BTC"),
        ("BNBBIDR", "BNB/BIDR"),
        ("USDTTRY", "USDT/TRY"),
        ("EURUSDT", "EUR/USDT"),
        ("1000SATSUSDT", "1000SATS/USDT"),
        ("BNSOLSOL", "BNSOL/SOL"),
        ("USDT", "USDT"),
        ("NOSUCHQUOTE", "NOSUCHQUOTE"),
    ],
)
def test_canonical_splits_before_the_longest_quote_asset(native, canonical):
    assert BINANCE.canonical(native) == canonical


def test_the_daily_close_is_expected():
    assert BINANCE.expected_close(86_400) and not BINANCE.expected_close(3_600)
