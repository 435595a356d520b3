"""Formats of candles: every digit arrives, and what a format cannot say is in headers."""

import csv
import io
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest

from k2stream.history.reader import CandleAnswer, MissingTier
from tests.unit.service.memory import candle

EXACT = "12345678901234567890.123456789012345678"


@pytest.fixture
def path(listed):
    return f"/v1/ohlcv/{listed[0].exchange}/{listed[0].canonical.replace('/', '-')}/1m"


@pytest.fixture(autouse=True)
def _candles(stored, listed):
    stored.answers[listed[0].key, "1m"] = [candle(listed[0], "1m", 60_000, close=EXACT)]


async def test_kline_arrays(client, path):
    (row,) = (await client.get(path, params={"format": "binance"})).json()
    assert row[:5] == [60_000, "2.00000000", "3.00000000", "1.50000000", EXACT]
    assert row[5:9] == ["2.00000000", 119_999, "5.00000000", 2]
    assert row[9:] == ["1.00000000", "2.50000000", "0"]


async def test_ccxt_arrays_have_exact_numbers(client, path):
    content = (await client.get(path, params={"format": "ccxt"})).content
    assert EXACT.encode() in content
    assert msgspec.json.decode(content, type=list[list[Decimal]])[0][4] == Decimal(EXACT)


async def test_csv(client, path):
    answer = await client.get(path, params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["close"], row["final"], row["open_time"]) == (EXACT, "false", "60000")


async def test_arrow(client, path):
    answer = await client.get(path, params={"format": "arrow"})
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    rows = pa.ipc.open_stream(answer.content).read_all()
    assert rows["close"].to_pylist() == [Decimal(EXACT)]
    assert rows.schema.field("close").type == pa.decimal128(38, 18)


@pytest.mark.parametrize("form", ["json", "binance", "ccxt", "csv", "arrow"])
async def test_what_is_missing_and_simulated_is_in_headers(client, path, stored, form):
    async def read(*_):
        return CandleAnswer([], (MissingTier("Iceberg", "away"),))

    stored.read = read
    answer = await client.get(path, params={"format": form})
    assert (answer.headers["x-k2-missing"], answer.headers["x-k2-simulated"]) == ("Iceberg", "true")


async def test_paths_of_earlier_releases_keep_their_shape(client, path, listed):
    answer = (await client.get(path.removeprefix("/v1"), params={"limit": 1})).json()
    assert answer["canonical_symbol"] == listed[0].canonical
    assert answer["candles"][0]["close"] == EXACT
    refused = await client.get(path.removeprefix("/v1"), params={"limit": 0})
    assert (refused.status_code, "limit=0" in refused.json()["error"]) == (400, True)
    assert (await client.get("/instruments")).json()["instruments"][0]["exchange"] == listed[0].exchange
