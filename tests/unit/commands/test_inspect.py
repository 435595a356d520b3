"""The `k2 inspect` command."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from k2stream.cli import main

FRAMES = Path(__file__).parents[2] / "playback" / "coinbase" / "frames.jsonl"


def run(*arguments, stdin=None):
    result = CliRunner().invoke(main, ["inspect", *arguments], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_stdin_with_crlf_and_blank_lines_gives_what_the_file_gives():
    lines = FRAMES.read_bytes().splitlines()
    for form in ("trades", "candles", "summary"):
        piped = run("--exchange", "coinbase", "--as", form, "-", stdin=b"\r\n\r\n \n".join(lines))
        assert piped == run("--exchange", "coinbase", "--as", form, str(FRAMES))


def test_events_name_the_line_of_the_file():
    (event,) = run("--exchange", "coinbase", "--as", "events", "-", stdin=b"\n\n{oops\n")
    assert event.pop("cause").startswith("JSON is malformed")
    assert event == {"line": 3, "kind": "rejected", "original": "{oops"}


def test_longer_timeframes_cover_the_shorter_ones():
    minutes = run("--exchange", "coinbase", "--as", "candles", str(FRAMES))
    (day,) = [
        candle
        for candle in run("--exchange", "coinbase", "--as", "candles", "--timeframe", "1d", str(FRAMES))
        if candle["canonical_symbol"] == "BTC/USD"
    ]
    mine = [candle for candle in minutes if candle["canonical_symbol"] == "BTC/USD"]
    assert day["trade_count"] == sum(candle["trade_count"] for candle in mine)
    assert (day["open"], day["close"]) == (mine[0]["open"], mine[-1]["close"])
    assert day["close_time"] - day["open_time"] == 86_400_000 - 1


def test_an_instruments_file_names_the_symbols(tmp_path):
    names = tmp_path / "instruments.yaml"
    names.write_text("coinbase:\n  - {symbol: BTC-USD, canonical: XAU/EUR}\n")
    trades = run("--exchange", "coinbase", "--instruments", str(names), str(FRAMES))
    assert {trade["canonical_symbol"] for trade in trades} == {"XAU/EUR", "ETH/USD"}


def test_numbers_are_plain_whatever_their_form():
    trade = (
        '{"trade_id":"1","product_id":"A-B","price":%s,"size":%s,"side":"BUY","time":"2026-01-02T03:04:05Z"}'
    )
    frame = '{"channel":"market_trades","events":[{"type":"update","trades":[%s]}]}'
    pairs = [("1E+2", '"2e-8"'), ('"83285"', "0.10"), ('"00.5"', "1")]
    stdin = "\n".join(frame % (trade % pair).replace('"1"', f'"{at}"') for at, pair in enumerate(pairs))
    trades = run("--exchange", "coinbase", "-", stdin=stdin)
    assert [(trade["price"], trade["quantity"]) for trade in trades] == [
        ("100", "0.00000002"),
        ("83285", "0.10"),
        ("0.5", "1"),
    ]


def binance(number, price="10", quantity="1", time=0, symbol="AAAUSDT", **more):
    """`time` in ms after a minute's start."""
    trade = {"e": "trade", "E": 0, "s": symbol, "t": number, "p": price, "q": quantity, "m": False, "M": True}
    return json.dumps(trade | {"T": 1_767_225_600_000 + time} | more)


def aggregated(number, first, last, price="2", **more):
    return (
        binance(0, price, **more)
        .replace('"t": 0', f'"a": {number}, "f": {first}, "l": {last}')
        .replace('"e": "trade"', '"e": "aggTrade"')
    )


def of_binance(form, *lines):
    return run("--exchange", "binance", "--as", form, "-", stdin="\n".join(lines))


def test_an_aggregated_trade_is_told_apart_by_the_ids_it_stands_for():
    once = [aggregated(10, 100, 100), aggregated(11, 101, 101, time=10)]
    twice = [*once, aggregated(12, 101, 101, time=10)]
    (summary,) = of_binance("summary", *twice, aggregated(13, 102, 103, time=20))
    assert (summary["trades"], summary["duplicates"], summary["gaps"]) == (3, 1, 0)
    other = [*once, aggregated(11, 102, 102, "3", time=20), aggregated(12, 103, 103, time=30)]
    (summary,) = of_binance("summary", *other)
    assert (summary["trades"], summary["duplicates"], summary["gaps"]) == (4, 0, 0)
    assert [line["kind"] for line in of_binance("events", *other)] == []


def test_trades_that_no_aggregated_trade_stands_for_are_missing():
    lines = [aggregated(10, 100, 104), aggregated(11, 108, 109, time=10), aggregated(12, 110, 110, time=20)]
    (event,) = of_binance("events", *lines)
    assert (event["kind"], event["first_missing"], event["last_missing"]) == ("gap", 105, 107)
    (skipped,) = of_binance("summary", lines[0], aggregated(12, 105, 107, time=10))  # none is missing
    assert (skipped["trades"], skipped["gaps"]) == (2, 0)


def test_an_aggregated_trade_of_which_a_part_was_seen_is_doubtful():
    lines = [aggregated(10, 100, 104), aggregated(11, 103, 106, time=10)]
    (event,) = of_binance("events", *lines)
    assert event["kind"] == "rejected" and "only some were seen" in event["cause"]


@pytest.mark.parametrize("ids", [(5, 6, 5, 6, 7), (900, 901, 899, 900, 901, 902), (900, 901, 1, 2, 3)])
def test_ids_that_start_again_are_kept_and_told(ids):
    lines = [
        binance(number, str(10 + at), time=at * 1000 + (120_000 if at >= 2 else 0))
        for at, number in enumerate(ids)
    ]
    assert [trade["trade_id"] for trade in of_binance("trades", *lines)] == list(map(str, ids))
    (event,) = of_binance("events", *lines)
    assert event["kind"] == "restart" and event["epoch"] == 1 and str(ids[2]) in event["detail"]
    again = of_binance("summary", *lines, *lines)[0]  # all of it is known, of both epochs
    assert (again["trades"], again["duplicates"], again["gaps"]) == (len(ids), len(ids), 0)


def test_the_same_trade_with_other_digits_or_of_another_unit_is_a_repeat():
    lines = [binance(5, "10.50", "1.0"), binance(6)]
    again = [binance(5, "10.5", "1", T=1_767_225_600_000_700), binance(6, T=1_767_225_599_999_900)]
    (summary,) = of_binance("summary", *lines, *again)
    assert (summary["trades"], summary["duplicates"]) == (2, 2)


def test_a_time_in_ms_stands_among_times_in_microseconds_by_its_id():
    times = {103: -60_000_000, 104: 500_200, 106: 60_000_000}
    lines = [binance(number, str(number), T=1_767_225_600_000_000 + time) for number, time in times.items()]
    lines.append(binance(105, "105", time=500))
    candle = of_binance("candles", *lines)[1]
    assert (candle["open"], candle["close"]) == ("104", "105")


@pytest.mark.parametrize("time", [0, 999_999_999_999])
def test_a_trade_of_before_2009_is_rejected_and_makes_no_candle(time):
    lines = [binance(5), binance(6, T=time), binance(7)]
    (event,) = of_binance("events", *lines)
    assert event["kind"] == "rejected" and event["cause"].startswith("time before 2009")
    assert [candle["open_time"] for candle in of_binance("candles", *lines)] == [1_767_225_600_000]


def kraken(*rows):
    """Rows are (seconds, price)."""
    return json.dumps(
        [0, [[price, "1", f"{time}.000000", "b", "l", ""] for time, price in rows], "trade", "XBT/USD"]
    )


@pytest.mark.parametrize("past", [0, 3, 50])
def test_the_past_that_comes_with_a_subscription_counts_once(past):
    answer = json.dumps({"event": "subscriptionStatus", "status": "subscribed", "pair": "XBT/USD"})
    trades = [(1_700_000_000 + at // 2, "1") for at in range(20)]  # each twice
    lines = [answer, *(kraken(trade) for trade in trades), answer]
    lines += [kraken(*trades[-past:])] if past else []
    lines += [kraken((1_700_000_100, "2"))]
    (summary,) = run("--exchange", "kraken", "--as", "summary", "-", stdin="\n".join(lines))
    assert (summary["trades"], summary["duplicates"]) == (21, min(past, 20))


def test_nothing_gives_nothing():
    assert run("--exchange", "kraken", "--as", "candles", "-", stdin=b"") == []
    assert set(run("--exchange", "kraken", "--as", "summary", "-", stdin=b"")[0].values()) == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--exchange", "nasdaq", "-"), "unknown exchange 'nasdaq'; use one of binance, kraken, coinbase"),
        (("--exchange", "kraken", "/no/such"), "/no/such: cannot be read"),
        (("--exchange", "kraken", "--instruments", "/no/such.yaml", "-"), "/no/such.yaml: cannot be read"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message):
    result = CliRunner().invoke(main, ["inspect", *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
