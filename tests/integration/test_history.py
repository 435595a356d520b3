"""Candles of any age from ClickHouse and Iceberg, beside tables that hold the newest."""

import msgspec
import pyarrow as pa
import pytest

from k2stream import settings
from k2stream.clickhouse.candles import HotTier
from k2stream.clickhouse.destination import ClickHouse, connect
from k2stream.history.derive import base_span, derived
from k2stream.history.fold import fold
from k2stream.history.reader import CandleAnswer, CandleHistory, candle_history
from k2stream.history.tiers import CandleSpan, newest
from k2stream.history.timeframes import timeframe
from k2stream.iceberg.candles import ColdTier
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.tables import TABLES
from k2stream.layers import gold
from k2stream.model.instrument import Instrument
from tests.integration.sink_samples import batch, piece
from tests.unit.history.test_tiers import candle as unit_candle

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

HOT, COLD = gold.ROUTES[0], TABLES["cold.gold_ohlcv_1m"].route
BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
ETH = Instrument("kraken", "ETH/USD", "ETH/USD")
MONTH = 31 * 86_400_000
MINUTE = 60_000


def candle(number, revision=2, instrument=BTC):
    """One of 40 candles, twelve hours before and after the end of a month of 31 days."""
    opened = MONTH + (number - 20) * 36 * MINUTE
    return unit_candle(opened, revision)._replace(
        close_time=opened + MINUTE - 1,
        symbol=instrument.symbol,
        canonical_symbol=instrument.canonical,
        first_trade_time=opened * 1000 + 1,
        last_trade_time=opened * 1000 + 7,
    )


def rows(route, candles, first):
    """As a batch of a sink."""
    units = {"open_time": "ms", "close_time": "ms", "first_trade_time": "us", "last_trade_time": "us"}
    made = [
        held._asdict()
        | {
            name: pa.scalar(getattr(held, name), pa.timestamp(unit, "UTC")).as_py()
            for name, unit in units.items()
        }
        for held in candles
    ]
    return batch(piece(route, made, first=first))


@pytest.fixture
def config(stack, tmp_path):
    return settings.make(
        clickhouse_port=stack.clickhouse_port, clickhouse_database="history", data_dir=str(tmp_path)
    )


@pytest.fixture
def everything(config):
    """ClickHouse has all candles from the 10th on, Iceberg the first 30, some in an older revision."""
    hot, cold = ClickHouse(config.clickhouse), Iceberg(config.iceberg)
    hot.prepare([])
    cold.prepare([COLD])
    hot.write(HOT, rows(HOT, [candle(n, 1) for n in range(10, 40)], 0))
    hot.write(HOT, rows(HOT, [candle(n, 2) for n in range(10, 40)], 100))
    hot.write(HOT, rows(HOT, [candle(0, 9, ETH)], 200))
    cold.write(COLD, rows(COLD, [candle(n, 1) for n in range(20)], 0))
    cold.write(COLD, rows(COLD, [candle(n, 2 if n < 15 else 1) for n in range(30)], 20))
    yield newest(candle(n) for n in range(40))
    client = connect(config.clickhouse)
    client.execute("DROP DATABASE history")
    client.disconnect()
    hot.close()


SPANS = [
    CandleSpan(5), CandleSpan(100), CandleSpan(12, end=candle(25).open_time), CandleSpan(3, start=0),
    CandleSpan(100, start=candle(8).open_time, end=candle(33).open_time), CandleSpan(4, candle(9).open_time),
    CandleSpan(7, end=candle(5).open_time), CandleSpan(5, start=candle(39).open_time + 1),
    CandleSpan(2, end=1),
]  # fmt: skip


async def test_the_tiers_answer_as_one(config, everything):
    history = candle_history(config.candles, HotTier(config.clickhouse), ColdTier(config.iceberg))
    for span in SPANS:
        tables = {time: held for time, held in everything.items() if time >= candle(30).open_time}
        held = span.cut(tables)
        answer = await history.extended(BTC, "1m", span, held, min(tables))
        hot = {time: held for time, held in everything.items() if time >= candle(10).open_time}
        assert answer == CandleAnswer(span.cut(hot if span.newest else everything)), span
    assert history.read(ETH, "1m", CandleSpan(5)).candles == [candle(0, 9, ETH)]
    assert history.read(ETH, "1d", CandleSpan(5)).candles == []


async def test_other_timeframes_are_folded_over_all_tiers(config, everything):
    history = candle_history(config.candles, HotTier(config.clickhouse), ColdTier(config.iceberg))
    now, settled = 2 * MONTH, 10_000
    for of in (timeframe("37m"), timeframe("3m"), timeframe("1439m")):
        assert of.base == "1m"
        whole = newest(fold(everything.values(), of, now, settled))
        for span in SPANS:
            if span.newest:  # ends at ClickHouse
                continue
            answer = history.read(BTC, of.base, base_span(of, span))
            assert derived(of, span, answer.candles, now, settled) == span.cut(whole), (of.name, span)


async def test_each_tier_gives_its_spans(config, everything):
    hot = {time: held for time, held in everything.items() if time >= candle(10).open_time}
    cold = newest(candle(n, 2 if n < 15 else 1) for n in range(30))
    for tier, held in ((HotTier(config.clickhouse), hot), (ColdTier(config.iceberg), cold)):
        assert tier.oldest(BTC, "1m") == min(held)
        for span in SPANS:
            assert span.cut(newest(tier.candles(BTC, "1m", span))) == span.cut(held), (tier.name, span)


async def test_a_tier_that_is_away_is_named_and_the_others_answer(config, everything):
    gone = msgspec.structs.replace(config.clickhouse, port=1)
    alone = candle_history(config.candles, HotTier(gone), ColdTier(config.iceberg))
    answer = alone.read(BTC, "1m", CandleSpan(100))
    assert [held.open_time for held in answer.candles] == [candle(n).open_time for n in range(30)]
    ((tier, reason),) = answer.missing
    assert tier == "ClickHouse"
    assert "127.0.0.1:1" in reason
    assert "\n" not in reason


async def test_tiers_that_were_never_filled_are_empty_and_stay_so(stack, tmp_path):
    nothing = settings.make(data_dir=str(tmp_path), clickhouse_port=stack.clickhouse_port)
    cold = ColdTier(nothing.iceberg)
    assert CandleHistory([cold]).read(BTC, "1m", CandleSpan(5)) == CandleAnswer([])
    assert not list(tmp_path.iterdir())
