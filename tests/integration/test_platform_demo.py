"""`k2 demo`: a platform for some seconds, and then the proof that every layer agrees."""

import json

import pytest

from k2stream import instruments, settings
from k2stream.model.candle import TIMEFRAMES
from tests.integration.asking import k2

pytestmark = pytest.mark.integration

DEMO_SECONDS, DEMO_RATE = 8, 300


def test_demo_finds_no_difference_in_any_layer(tmp_path):
    outcome_file = tmp_path / "outcome.json"
    result = k2("demo", "--seconds", DEMO_SECONDS, "--rate", DEMO_RATE, "--json", outcome_file, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "SIMULATED" in result.stdout
    outcome = json.loads(outcome_file.read_text())
    assert outcome["ok"]
    assert outcome["differences"] == 0
    listed = instruments.load(settings.Settings().feeds.instruments_file)
    assert outcome["candles"] >= len(listed) * len(TIMEFRAMES)
    for layer in ("candle tables", "ClickHouse gold", "Iceberg gold"):
        compared = next(item["compared"] for item in outcome["layers"] if item["layer"] == layer)
        assert compared == outcome["candles"], layer
    trades = 0
    for counts in outcome["exchanges"].values():
        assert counts["raw"] == counts["bronze"] == counts["cold bronze"] > 0
        assert counts["normalized"] == counts["silver"] == counts["cold silver"]
        assert counts["raw"] == counts["normalized"] + counts["duplicates"]
        trades += counts["raw"]
    assert trades > 0.8 * DEMO_SECONDS * DEMO_RATE
    assert set(outcome["latency_ms"]) == {"normalized", "candle", "silver", "gold"}
