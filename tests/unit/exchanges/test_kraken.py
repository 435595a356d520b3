"""Traps of Kraken's array protocol."""

import json

import pytest

from k2stream import exchanges
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Answer, Kind, Subscription
from k2stream.model.instrument import Instrument
from k2stream.normalizer import continuity

KRAKEN = exchanges.get("kraken")
ROW = ["5541.20000", "0.15850568", "1534614057.321597", "s", "l", ""]


def parse(message):
    return KRAKEN.parse(json.dumps(message).encode())


def columns(*rows, pair="XBT/USD"):
    frame = parse([0, list(rows), "trade", pair])
    records, bad = raw.decode(KRAKEN, [raw.record(trade, 1, "c", 0) for trade in frame.trades])
    assert not bad and not frame.rejects
    return KRAKEN.normalize(records)


def row(**changes):
    names = ("price", "volume", "time", "side", "orderType", "misc")
    return [changes.get(name, value) for name, value in zip(names, ROW, strict=True)]


def test_subscribe_is_one_request():
    asked = [Instrument("kraken", "XBT/USD", "BTC/USD"), Instrument("kraken", "XDG/USD", "DOGE/USD")]
    (request,) = KRAKEN.subscribe(asked)
    assert request.symbols == ("XBT/USD", "XDG/USD")
    assert json.loads(request.text) == {
        "event": "subscribe",
        "pair": ["XBT/USD", "XDG/USD"],
        "subscription": {"name": "trade"},
    }


def test_one_message_holds_many_trades_in_its_order():
    frame = parse([0, [row(price="2"), row(price="1"), row(price="3")], "trade", "XBT/USD"])
    assert [json.loads(trade.body)["price"] for trade in frame.trades] == ["2", "1", "3"]


def test_body_names_the_literal_strings_and_keeps_the_native_pair():
    frame = KRAKEN.parse(
        b'[0, [["5541.20000", "0.15850568", "1534614057.321597", "s", "l", ""]], "trade", "XBT/USD"]'
    )
    assert frame.trades == (
        (
            "XBT/USD",
            b'{"pair":"XBT/USD","price":"5541.20000","volume":"0.15850568","time":"1534614057.321597",'
            b'"side":"s","orderType":"l","misc":""}',
        ),
    )


@pytest.mark.parametrize(
    ("time", "micros"),
    [
        ("1534614057.321597", 1534614057321597),
        ("1534614057", 1534614057000000),
        ("1534614057.3", 1534614057300000),
        ("1534614057.3215979", 1534614057321597),
        ("1534614057.000001", 1534614057000001),
        ("1616663113.947999", 1616663113947999),  # as a float it would end in …998
    ],
)
def test_time_is_decimal_never_a_float(time, micros):
    assert columns(row(time=time)).timestamp == [micros]


@pytest.mark.parametrize(
    "time", ["", "1e9", "-1", "1534614057.", "15346140571.1", "1.2.3", "١", "1\n", 1.5, None]
)
def test_other_times_are_rejected(time):
    assert parse([0, [row(time=time)], "trade", "XBT/USD"]).kind is Kind.REJECTED


def test_side_is_the_takers():
    assert columns(row(side="b"), row(side="s")).taker_buy == [True, False]


def test_one_bad_trade_does_not_cost_the_good_ones():
    frame = parse([0, [ROW, row(price=7), ROW[:4], {}, "x", ROW], "trade", "XBT/USD"])
    assert (frame.kind, len(frame.trades), len(frame.rejects)) == (Kind.TRADES, 2, 4)
    assert "$.price" in frame.rejects[0].cause
    assert frame.rejects[1].cause == "trade of 4 fields, expected 6"
    assert json.loads(frame.rejects[0].original) == row(price=7)


@pytest.mark.parametrize("bad", [row(side="x"), row(side=None), row(orderType=1), row(volume=[])])
def test_wrong_values_are_rejected(bad):
    assert parse([0, [bad], "trade", "XBT/USD"]).kind is Kind.REJECTED


@pytest.mark.parametrize(
    "message",
    [
        [0, {"a": [["1", "2", "3"]]}, "book-10", "XBT/USD"],
        [0, {"a": []}, {"b": [], "c": "1"}, "book-10", "XBT/USD"],
        [0, ["1", "2", "3", "4", "5"], "spread", "XBT/USD"],
        [0, {"c": ["1", "2"]}, "ticker", "XBT/USD"],
        [[{"T": {}}], "ownTrades", {"sequence": 1}],
        [0, [ROW], ["trade"], "XBT/USD"],
        [0, [ROW], "trade"],
        ["trade", "XBT/USD"],
        [],
        {"channel": "trade", "type": "update", "data": []},
        "trade",
    ],
)
def test_other_channels_are_unknown(message):
    frame = parse(message)
    assert (frame.kind, frame.trades) == (Kind.UNKNOWN, ())


@pytest.mark.parametrize(
    "message",
    [
        {
            "connectionID": 13834774380200032777,
            "event": "systemStatus",
            "status": "online",
            "version": "1.0.0",
        },
        {"connectionID": 2**200, "event": "systemStatus", "status": "maintenance", "version": "1.0.0"},
        {"channelID": 1, "event": "subscriptionStatus", "pair": "XBT/USD", "status": "subscribed"},
        {"event": "heartbeat"},
        {"event": "pong", "reqid": 42},
    ],
)
def test_events_are_control_whatever_the_size_of_the_connection_id(message):
    assert parse(message).kind is Kind.CONTROL


def test_a_refused_subscription_is_an_error_with_pair_and_text():
    message = {
        "errorMessage": "Currency pair not supported",
        "event": "subscriptionStatus",
        "pair": "FOO/USD",
        "status": "error",
    }
    frame = parse(message)
    assert (frame.kind, frame.detail) == (Kind.ERROR, "FOO/USD Currency pair not supported")
    assert frame.answer == Answer(Subscription.REFUSED, ("FOO/USD",))
    assert parse(message | {"errorMessage": "Already subscribed"}).answer == Answer(
        Subscription.CONFIRMED, ("FOO/USD",)
    )


@pytest.mark.parametrize("name", ["Error", "error", "errorMessage"])
def test_an_error_is_one_under_any_name_with_or_without_an_event(name):
    for event in ({}, {"event": "error"}):
        frame = parse({name: "Exceeded msg rate", **event})
        assert (frame.kind, frame.detail) == (Kind.ERROR, "Exceeded msg rate")
        assert frame.answer == Answer(Subscription.REFUSED)


def test_a_status_of_another_channel_is_no_answer_about_trades():
    said = {"event": "subscriptionStatus", "pair": "XBT/USD", "status": "subscribed"}
    assert parse(said | {"subscription": {"name": "ohlc"}}).answer is None
    assert parse(said | {"subscription": {"name": "trade"}}).answer == Answer(
        Subscription.CONFIRMED, ("XBT/USD",)
    )


def test_identical_trades_are_all_kept_with_ids_of_their_own():
    thirteen = columns(*[ROW] * 13)
    checked = continuity.check(KRAKEN.continuity, thirteen, {})
    assert checked.keep.all()
    assert len(set(checked.trade_id)) == 13
    assert all(made.startswith("KRAKEN-1534614057321597-") for made in checked.trade_id)
    assert checked.trade_id == continuity.check(KRAKEN.continuity, thirteen, {}).trade_id


@pytest.mark.parametrize(
    ("native", "canonical"),
    [("XBT/USD", "BTC/USD"), ("XDG/EUR", "DOGE/EUR"), ("ETH/XBT", "ETH/BTC"), ("SOL/USD", "SOL/USD")],
)
def test_own_asset_names_are_replaced_on_both_sides(native, canonical):
    assert KRAKEN.canonical(native) == canonical
