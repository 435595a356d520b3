"""`k2 mirror`: a second platform that is fed by it has the trades and candles of the first."""

import time
from contextlib import AsyncExitStack

import pytest

from k2stream import instruments, topics
from k2stream.iceberg.catalog import open_catalog
from k2stream.model import clock
from k2stream.playback.reading import Span, merged, sources
from k2stream.reconcile.oracle import avro
from k2stream.reconcile.oracle.raw_log import read_to_end
from k2stream.simulator import protocols
from k2stream.simulator.relayed import RelayedVenue
from tests.fault.platforms import caught_up, published, quiet, recovered, running

pytestmark = pytest.mark.fault

SECONDS, RATE, SPEED = 40, 100, 10.0
OURS = ("receive_time", "process_time", "raw_partition", "raw_offset")
READERS = ["k2-normalize", "k2-candles", "k2-cold"]


async def canonical(platform):
    """Canonical trades by exchange, symbol and id, without what only the platform that read them knows."""
    records, found = avro.Records(platform.settings.kafka, "trade"), {}
    async for _, batch in read_to_end(platform.settings.kafka, topics.NORMALIZED):
        for record in batch:
            trade = records.read(record.value) or {}
            name = trade["exchange"], trade["symbol"], trade["trade_id"]
            found[name] = {field: value for field, value in trade.items() if field not in OURS}
    return found


async def newest(platform):
    """Each window's candle in its newest revision, as values that two platforms can share."""
    found = {}
    for (timeframe, key, opened, revision), candle in sorted((await published(platform)).items()):
        found[timeframe, key, opened] = candle._replace(
            revision=revision - candle.final, final=False, raw_partition=0, raw_offset=0
        )
    return found


async def recorded(platform, began, origin):
    """What each exchange sent since a time in µs, as `k2 mirror` reads it."""
    catalog = open_catalog(platform.settings.iceberg)
    return {
        name: [
            trade
            async for trade in merged(
                await sources(platform.settings.kafka, catalog, Span(name, began, clock.now_us()), origin)
            )
        ]
        for name in topics.EXCHANGES
    }


async def test_a_second_platform_has_the_same_trades_and_candles(tmp_path):
    """Short form: tests/unit/playback/test_relay.py."""
    began = clock.now_us()
    async with running(tmp_path / "first", rate=RATE) as first:
        await quiet(first, SECONDS)
        await first.stop_feeds()
        await recovered(first)
        await caught_up(first, 120, READERS)
        sent = await recorded(first, began, "auto")
        cold = await recorded(first, began, "cold")
        expected, candles = await canonical(first), await newest(first)
    for name, trades in sent.items():
        assert [(each.symbol, each.received) for each in cold[name]] == [
            (each.symbol, each.received) for each in trades
        ]
    listed = instruments.load(first.settings.feeds.instruments_file)
    async with AsyncExitStack() as entered:
        venues, urls = {}, {}
        for name in topics.EXCHANGES:
            relay = protocols.for_exchange(name).relay
            assert relay
            venue = RelayedVenue(name, relay, listed.for_exchange(name), clock.now_us)
            venues[name] = await venue.start("127.0.0.1", 0)
            entered.push_async_callback(venue.close)
            urls |= {f"{name}_ws_url": venue.url, f"{name}_rest_url": venue.rest.url}
        async with running(tmp_path / "second", **urls) as second:
            took = time.monotonic()
            for name, venue in venues.items():
                await venue.ready()
                assert await venue.play(each_of(sent[name]), SPEED) == len(sent[name])
            took = time.monotonic() - took
            await caught_up(second, 120, READERS)
            again, folded = await canonical(second), await newest(second)
    assert again.keys() == expected.keys()
    different = {name: (again[name], trade) for name, trade in expected.items() if again[name] != trade}
    assert not different, f"{len(different)} differ: {next(iter(different.items()))}"
    assert folded == candles
    print(f"{len(expected)} trades, {len(candles)} candles, replayed in {took:.1f} s")


async def each_of(trades):
    for trade in trades:
        yield trade
