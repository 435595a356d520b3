"""Every exchange that is built in plays back its frames to exactly the expected lines."""

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from k2stream.commands import inspect
from k2stream.exchanges import BUILT_IN
from k2stream.exchanges.spec import Kind
from k2stream.normalizer import capture

FOLDER = Path(__file__).parent
FORMS = {
    "trades": lambda batches, exchange: inspect.trades(batches, exchange.canonical),
    "candles": lambda batches, exchange: inspect.candles(batches, exchange.canonical, "1m"),
    "events": lambda batches, exchange: inspect.events(batches),
    "summary": lambda batches, exchange: [inspect.summary(batches)],
}

cases = pytest.mark.parametrize("name", BUILT_IN)


def frames(name):
    return (FOLDER / name / "frames.jsonl").read_bytes().splitlines()


def expected(name, form):
    return [json.loads(line) for line in (FOLDER / name / f"expected_{form}.jsonl").read_text().splitlines()]


def played(name, form):
    exchange = BUILT_IN[name]
    lines = FORMS[form](capture.read(exchange, frames(name)), exchange)
    return msgspec.json.decode(msgspec.json.encode(list(lines)))


@cases
@pytest.mark.parametrize("form", FORMS)
def test_frames_give_the_expected_lines(name, form):
    assert played(name, form) == expected(name, form)


@cases
@pytest.mark.parametrize("form", FORMS)
def test_batches_do_not_matter(name, form, monkeypatch):
    monkeypatch.setattr(capture, "BATCH", 1)
    assert played(name, form) == expected(name, form)


@cases
def test_the_frames_show_every_kind(name):
    kinds = {BUILT_IN[name].parse(frame).kind for frame in frames(name)}
    assert kinds == set(Kind) or (name == "coinbase" and kinds == set(Kind) - {Kind.REJECTED})


@cases
def test_expected_candles_are_the_sums_of_the_expected_trades(name):
    windows = defaultdict(list)
    for trade in expected(name, "trades"):
        windows[trade["canonical_symbol"], trade["timestamp"] // 60_000_000 * 60_000].append(trade)
    candles = {(c["canonical_symbol"], c["open_time"]): c for c in expected(name, "candles")}
    assert set(candles) == set(windows)
    for window, trades in windows.items():
        candle = candles[window]
        prices = [Decimal(trade["price"]) for trade in sorted(trades, key=lambda trade: trade["timestamp"])]
        bought = [trade for trade in trades if trade["side"] == "BUY"]
        assert [Decimal(candle[field]) for field in ("open", "high", "low", "close")] == [
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        ]
        for prefix, some in (("", trades), ("taker_buy_", bought)):
            assert Decimal(candle[f"{prefix}volume"]) == sum(Decimal(trade["quantity"]) for trade in some)
            assert Decimal(candle[f"{prefix}quote_volume"]) == sum(
                Decimal(trade["price"]) * Decimal(trade["quantity"]) for trade in some
            )
        assert candle["trade_count"] == sum(map(trades_in, trades))


def trades_in(trade):
    vendor = trade["vendor_data"]
    return int(vendor["l"]) - int(vendor["f"]) + 1 if "l" in vendor else 1
