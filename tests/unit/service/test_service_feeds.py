"""`/v1/exchanges`, `/v1/gaps` and `/v1/status`: what feed events and metrics say."""

import time

import pytest

from k2stream import metrics
from k2stream.model.events import EventKind, FeedEvent
from k2stream.platform.scrape import Samples
from k2stream.platform.snapshot import Snapshot
from k2stream.service.status import answer
from k2stream.topics import EXCHANGES

SECOND = 1_000_000


@pytest.fixture
def now():
    return time.time_ns() // 1000


def labels(**given):
    return tuple(sorted(given.items()))


async def test_an_exchange_and_its_feed(client, health, now):
    name = EXCHANGES[0]
    health.add(FeedEvent(kind=EventKind.CONNECTED, exchange=name, time=now - 300 * SECOND))
    health.add(FeedEvent(kind=EventKind.DISCONNECTED, exchange=name, time=now - 200 * SECOND, detail="1006"))
    health.add(FeedEvent(kind=EventKind.GAP, exchange=name, symbol="A", time=now - 200 * SECOND))
    first, other = (await client.get("/v1/exchanges")).json()["exchanges"][:2]
    assert (first["exchange"], first["connected"], first["detail"]) == (name, False, "1006")
    assert (first["gaps"], first["open_gaps"], first["feed_healthy"]) == (1, 1, False)
    assert 200 <= first["down_seconds"] < 210
    assert (other["connected"], other["since"], other["event_lag_ms"]) == (None, None, None)


async def test_gaps_the_newest_first(client, health, listed, now):
    item = listed[0]
    for at in range(3):
        health.add(
            FeedEvent(
                kind=EventKind.GAP,
                exchange=item.exchange,
                symbol=item.symbol,
                time=now + at * SECOND,
                first_missing=at,
            )
        )
    health.add(FeedEvent(kind=EventKind.GAP, exchange=item.exchange, symbol="other", time=now))
    asked = {"symbol": item.canonical, "exchange": item.exchange, "limit": 2}
    found = (await client.get("/v1/gaps", params=asked)).json()["gaps"]
    assert [gap["first_missing"] for gap in found] == [2, 1]
    assert {(gap["symbol"], gap["filled"]) for gap in found} == {(item.canonical, None)}
    found = (await client.get("/v1/gaps", params={"end": now // 1000 + 1001})).json()["gaps"]
    assert len(found) == 3
    assert (await client.get("/v1/gaps", params={"symbol": "XXX"})).status_code == 404


async def test_without_workers_there_is_no_status(client):
    refused = await client.get("/v1/status")
    assert (refused.status_code, "K2_SERVICE_WORKERS" in refused.json()["detail"]) == (503, True)


def test_a_snapshot_as_it_is_answered():
    table = {"table": "silver_trades"}
    now = {
        "k2_raw_trades_total": {labels(exchange="a"): 30.0, labels(exchange="b"): 10.0},
        "k2_sink_rows_total": {labels(**table): 50.0},
        "k2_sink_written_timestamp_seconds": {labels(**table): 90.0},
        "k2_latency_last_minute_seconds_bucket": {
            labels(to="candle", le="0.25"): 9.0,
            labels(to="candle", le="+Inf"): 10.0,
        },
    }
    before = {"k2_raw_trades_total": {labels(exchange="a"): 20.0}}
    snapshot = Snapshot(
        Samples(now, ("cold",)),
        Samples(before),
        2.0,
        {"k2-hot": {"market.crypto.trades.normalized": 5}, "k2-candles": {"t": 3}},
        {},
        True,
        {"hot": "its table is gone"},
        {"hot": "ok", "candles": "recovering"},
        900.0,
    )
    found = answer(snapshot, 100.0)
    assert [(each.name, each.state) for each in found.workers] == [
        ("candles", "recovering"),
        ("cold", "unreachable"),
        ("hot", "refused"),
    ]
    raw, _, candles = found.stages
    assert (raw.records, raw.records_per_second, raw.lag) == (40, 10.0, None)
    assert (candles.lag, candles.latency_p50) == (3, 138.9)  # five ninths of the bucket
    assert candles.latency_p99 == 250.0  # at least: it lies beyond the last bound
    (silver,) = (each for each in found.sinks if (each.tier, each.table) == ("ClickHouse", "silver_trades"))
    assert (silver.rows, silver.lag, silver.written, silver.seconds_behind) == (50, 5, 90_000, 10.0)
    assert {each.tier: each.commit_seconds for each in found.sinks} == {"ClickHouse": None, "Iceberg": 900.0}


async def test_health_and_metrics(client):
    assert (await client.get("/health")).json() == {"status": "ok"}
    assert metrics.RAW_TRADES._name in (await client.get("/metrics")).text
