"""A made-up exchange, in a package of its own (tulip/), goes through everything; no other file names it.

Beside it runs a variant of one that is built in. docs/exchanges.md explains the parts of the package.
"""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from k2stream import settings
from k2stream.clickhouse.destination import connect
from k2stream.embedded import datadir

pytestmark = [pytest.mark.integration, pytest.mark.platform]

PACKAGE = Path(__file__).parent / "tulip"
ON = ("tulip", "binanceus")
K2 = [sys.executable, "-m", "k2stream"]


class Installed(NamedTuple):
    """Runs `k2` where the package is installed; the folder has the data."""

    folder: Path

    def environ(self, on):
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith("K2_") or "CACHE" in key
        }
        return kept | {
            "PYTHONPATH": str(self.folder / "site"),
            "K2_DATA_DIR": str(self.folder / "data"),
            "K2_EXCHANGES": ",".join(on),
            "K2_INSTRUMENTS_FILE": str(PACKAGE / "instruments.yaml"),
        }

    def __call__(self, *arguments, on=ON, timeout, **variables):
        command = [*K2, *map(str, arguments)]
        environ = self.environ(on) | variables
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def k2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tulip")
    command = ["build", "--wheel", "--no-isolation", "--outdir", str(folder), str(PACKAGE)]
    built = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return Installed(folder)


def inspected(k2, form):
    result = k2("inspect", "--exchange", "tulip", "--as", form, PACKAGE / "frames.jsonl", on=(), timeout=60)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_captured_frames_are_inspected_without_switching_it_on(k2):
    trades = inspected(k2, "trades")
    assert [(t["canonical_symbol"], t["trade_id"], t["side"], t["price"], t["quantity"]) for t in trades] == [
        ("SEMPER/NLG", "41", "BUY", "5500", "0.10"),
        ("SEMPER/NLG", "42", "SELL", "5499.50", "2"),
        ("SEMPER/NLG", "45", "BUY", "5501.25", "0.00000002"),
        ("BTC/NLG", "7", "SELL", "183285.1", "0.5"),
    ]
    assert [t["vendor_data"] for t in trades] == [{}, {"lot": "14"}, {"lot": "15"}, {}]
    (summary,) = inspected(k2, "summary")
    assert summary == {
        "frames": 10, "trades": 4, "control": 2, "unknown": 1, "errors": 1, "rejected": 1,
        "duplicates": 1, "gaps": 1, "missing_trades": 2, "lost_frames": 0,
    }  # fmt: skip
    candles = {(c["canonical_symbol"], c["open_time"]): c for c in inspected(k2, "candles")}
    assert len(candles) == 3
    assert Decimal(candles["SEMPER/NLG", 1_760_000_040_000]["volume"]) == Decimal("2.00000002")


@pytest.fixture(scope="module")
def platform(k2):
    """`k2 up`, ready; its folder."""
    folder = k2.folder / "data"
    with (k2.folder / "up.log").open("w+") as log:
        process = subprocess.Popen(
            [*K2, "up", "--plain", "--rate", "100"], env=k2.environ(ON), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: process.poll() is None and ready(folder / "workers.json"), k2.folder / "up.log")
            yield folder
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            finally:
                process.kill()


def until(condition, log):
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def ready(note):
    urls = json.loads(note.read_text())["urls"] if note.exists() else {}
    try:
        return urls and all(httpx.get(f"{url}/health").status_code == 200 for url in urls.values())
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def client(k2, platform):
    """ClickHouse's, once every symbol has a candle there, and Iceberg has rows."""
    endpoints = datadir.running(platform)
    assert endpoints is not None
    found = connect(settings.ClickHouseSettings(port=endpoints.clickhouse_port))
    query = "SELECT uniqExact(exchange, canonical_symbol) FROM k2.ohlcv_1m_view"
    until(lambda: found.execute(query) == [(5,)], k2.folder / "up.log")
    cold = json.loads((platform / "workers.json").read_text())["urls"]["cold"]
    httpx.post(f"{cold}/cold/flush", timeout=60).raise_for_status()
    yield found
    found.disconnect()


def test_every_layer_has_it_and_the_oracle_finds_no_difference(k2, client):
    """Feeds, normaliser, candles, ClickHouse, Iceberg: all from what the package says."""
    result = k2("verify", "--json", timeout=180)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["ok"] and report["exchanges"].keys() == set(ON)
    for held in report["exchanges"].values():
        assert held["raw"] >= held["normalized"] > 0 == held["dead letters"]
        assert all(held[layer] for layer in ("bronze", "silver", "cold bronze", "cold silver")), held


def test_the_layers_of_clickhouse_agree_with_each_other(k2, client):
    held = dict(client.execute("SELECT exchange, count() FROM k2.bronze_trades_view GROUP BY exchange"))
    assert set(held) == set(ON)
    result = k2("validate", "--settle", "5", timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_command_with_other_exchanges_is_refused_in_one_line(k2, platform):
    result = k2("status", on=("tulip",), timeout=60)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert "has tulip, binanceus on, this command tulip: set K2_EXCHANGES alike" in result.stderr


def test_what_is_not_installed_or_not_on_is_named_in_one_line(k2):
    unknown = k2("settings", on=("hyacinth",), timeout=60)
    assert unknown.returncode == 1 and "Traceback" not in unknown.stderr
    assert "K2_EXCHANGES names 'hyacinth', which is no exchange" in unknown.stderr
    off = k2("worker", "ingest", on=("tulip",), timeout=60, K2_EXCHANGE="binanceus")
    assert off.returncode == 1 and "exchange binanceus is not on: name it in K2_EXCHANGES" in off.stderr
