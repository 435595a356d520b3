"""Traps of Coinbase's market_trades channel."""

import json

import pytest
from click.testing import CliRunner

from k2stream import exchanges
from k2stream.cli import main
from k2stream.exchanges import raw
from k2stream.exchanges.spec import Kind
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instrument
from k2stream.settings import make

COINBASE = exchanges.get("coinbase")


def trade(trade_id="1", **changes):
    return {
        "trade_id": trade_id,
        "product_id": "BTC-USD",
        "price": "83285",
        "size": "0.00000002",
        "side": "SELL",
        "time": "2026-01-02T03:04:05.123456Z",
    } | changes


def message(*trades, kind="update", **changes):
    return {
        "channel": "market_trades",
        "client_id": "",
        "timestamp": "2026-01-02T03:04:05Z",
        "sequence_num": 5,
        "events": [{"type": kind, "trades": list(trades)}],
    } | changes


def parse(value):
    return COINBASE.parse(json.dumps(value).encode())


def columns(*trades):
    frame = parse(message(*trades))
    records, bad = raw.decode(COINBASE, [raw.record(item, 1, "c", 0) for item in frame.trades])
    assert not bad and not frame.rejects
    return COINBASE.normalize(records)


def test_subscribe_asks_for_trades_and_apart_for_heartbeats():
    (request,) = COINBASE.subscribe([Instrument("coinbase", "BTC-USD", "BTC/USD")])
    assert request.symbols == ("BTC-USD",)
    asked = {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"}
    assert json.loads(request.text) == asked
    assert json.loads(COINBASE.heartbeats) == {"type": "subscribe", "channel": "heartbeats"}


def test_products_that_answer_with_anothers_trades_are_refused_with_the_reason():
    own = [Instrument("coinbase", name, name.replace("-", "/")) for name in ("USDT-USDC", "EURC-USDC")]
    assert COINBASE.subscribe(own)[0].symbols == ("USDT-USDC", "EURC-USDC")
    with pytest.raises(
        ConfigError, match="coinbase ETH-USDC: Coinbase answers it with the trades of ETH-USD"
    ) as refusal:
        COINBASE.subscribe([*own, Instrument("coinbase", "ETH-USDC", "ETH/USDC")])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_such_a_product_is_refused_before_anything_is_started(command, tmp_path, given_settings):
    listed = tmp_path / "instruments.yaml"
    listed.write_text("coinbase:\n  - {symbol: SOL-USDC, canonical: SOL/USDC}\n")
    given_settings(make(instruments_file=str(listed)))
    result = CliRunner().invoke(main, [command])
    assert result.exit_code == 1
    assert result.output.startswith("Error: coinbase SOL-USDC: ") and result.output.count("\n") == 1


def test_side_is_the_makers_and_is_inverted():
    assert columns(trade("1", side="SELL"), trade("2", side="BUY")).taker_buy == [True, False]


def test_snapshot_comes_newest_first_and_leaves_ascending():
    frame = parse(message(trade("1000"), trade("999"), trade("99"), kind="snapshot"))
    assert [json.loads(item.body)["trade_id"] for item in frame.trades] == ["99", "999", "1000"]
    assert {json.loads(item.body)["type"] for item in frame.trades} == {"snapshot"}


def test_all_events_of_a_frame_are_read():
    events = [
        {"type": "snapshot", "trades": [trade("2"), trade("1")]},
        {"type": "update", "trades": [trade("7", product_id="ETH-USD")]},
        {"type": "update", "trades": []},
    ]
    frame = parse(message(events=events))
    assert [item.symbol for item in frame.trades] == ["BTC-USD", "BTC-USD", "ETH-USD"]


def test_numbers_are_kept_as_they_are_written():
    body = b'{"trade_id":"1","product_id":"BTC-USD","price":121411.50,"size":0.1000000000000000055511151231,'
    body += b'"side":"BUY","time":"2026-01-02T03:04:05Z"}'
    frame = COINBASE.parse(
        b'{"channel":"market_trades","events":[{"type":"update","trades":[' + body + b"]}]}"
    )
    assert frame.trades[0].body == body[:-1] + b',"type":"update"}'
    records, _ = raw.decode(COINBASE, [raw.record(frame.trades[0], 1, "c", 0)])
    read = COINBASE.normalize(records)
    assert (read.price, read.quantity) == (["121411.50"], ["0.1000000000000000055511151231"])


@pytest.mark.parametrize(
    ("time", "micros"),
    [
        ("2026-01-02T03:04:05Z", 1767323045_000000),
        ("2026-01-02T03:04:05.Z", 1767323045_000000),
        ("2026-01-02T03:04:05.1Z", 1767323045_100000),
        ("2026-01-02T03:04:05.123456Z", 1767323045_123456),
        ("2026-01-02T03:04:05.999999999Z", 1767323045_999999),
        ("2026-01-02T03:04:05.000001+00:00", 1767323045_000001),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_time_has_0_to_9_fraction_digits_cut_to_micros(time, micros):
    assert columns(trade(time=time)).timestamp == [micros]


@pytest.mark.parametrize(
    "time",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.1234567891Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:04:05+01:00",
        "1969-12-31T23:59:59Z",
        "2300-01-01T00:00:00Z",
        "٢٠٢٦-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
        1767323045,
        None,
    ],
)
def test_other_times_are_rejected(time):
    assert parse(message(trade(time=time))).kind is Kind.REJECTED


@pytest.mark.parametrize("trade_id", ["abc", "", "-1", "1.0", " 1", "1\n", "9" * 19, "١", None, 7])
def test_an_id_that_is_no_number_is_rejected(trade_id):
    frame = parse(message(trade("5"), trade(trade_id)))
    assert (frame.kind, len(frame.trades)) == (Kind.TRADES, 1)
    assert "trade_id" in frame.rejects[0].cause


def test_client_id_may_be_absent():
    value = message(trade())
    del value["client_id"]
    assert len(parse(value).trades) == 1


@pytest.mark.parametrize("counter", [3049, "3049"])
def test_heartbeats_are_control_and_carry_the_sequence(counter):
    frame = parse(
        {"channel": "heartbeats", "sequence_num": 8, "events": [{"heartbeat_counter": counter}]},
    )
    assert (frame.kind, frame.sequence) == (Kind.CONTROL, 8)


def test_sequence_counts_all_channels():
    assert parse(message(trade())).sequence == 5
    assert parse({"channel": "subscriptions", "sequence_num": 1, "events": []}).sequence == 1
    assert parse({"channel": "ticker", "sequence_num": 2, "events": []}).sequence == 2
    assert parse({"channel": "ticker", "sequence_num": "2"}).sequence is None


def test_errors_have_a_type_and_no_channel():
    frame = parse({"type": "error", "message": "authentication failure"})
    assert (frame.kind, frame.detail) == (Kind.ERROR, "authentication failure")


@pytest.mark.parametrize(
    "value", [{"channel": "ticker"}, {"channel": ["market_trades"]}, {"type": "match"}, [], 1]
)
def test_other_channels_are_unknown(value):
    assert parse(value).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "events",
    [
        None,
        {},
        [7],
        [{}],
        [{"type": "update"}],
        [{"type": "other", "trades": []}],
        [{"type": "update", "trades": {}}],
    ],
)
def test_events_of_another_shape_are_rejected(events):
    frame = parse(message(events=events))
    assert (frame.kind, frame.trades) == (Kind.REJECTED, ())


@pytest.mark.parametrize("bad", [{}, [], 7, None, "x"])
def test_a_trade_of_another_shape_is_rejected(bad):
    frame = parse(message(trade("1"), bad))
    assert (len(frame.trades), len(frame.rejects)) == (1, 1)


def test_canonical_replaces_the_dash():
    assert COINBASE.canonical("BTC-USD") == "BTC/USD"
