"""The `k2 inspect` command."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from k2stream.inspect import inspect_command

FRAMES = Path(__file__).parents[1] / "playback" / "coinbase" / "frames.jsonl"


def run(*arguments, stdin=None):
    result = CliRunner().invoke(inspect_command, arguments, input=stdin, catch_exceptions=False)
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
    result = CliRunner().invoke(inspect_command, arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
