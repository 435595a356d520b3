"""Candles in pages are those of one answer, and rows by reference are merged as candles are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.history.reader import CandleHistory, MissingTier
from k2stream.history.tiers import CandleSpan
from k2stream.history.timeframes import timeframe
from k2stream.layers.candle_rows import candle_rows
from k2stream.layers.schema import SILVER
from k2stream.model.instrument import Instruments
from k2stream.read import trades
from k2stream.read.candles import candle_pages
from k2stream.read.notes import IncompleteRead, noted
from k2stream.read.source import RowPage
from k2stream.read.tiers import RowHistory
from tests.unit.history.test_tiers import BTC, Stored, candle
from tests.unit.service.memory import silver_rows

MINUTE = 60_000


class Rows(Stored):
    """As Stored, with rows."""

    def rows(self, instrument, timeframe, span):
        return candle_rows(self.candles(instrument, timeframe, span))


class Paged:
    """A source in memory."""

    where = "memory"
    simulated: bool | None = None

    def __init__(self, candles, size):
        self.held, self.size, self.asked = {c.open_time: c for c in candles}, size, 0

    def instruments(self):
        return Instruments([BTC])

    def page_size(self, timeframe):
        return self.size

    def trades(self, instrument, start, end):
        return iter([RowPage(SILVER.empty_table())])

    def candles(self, instrument, timeframe, span, health):
        self.asked += 1
        return RowPage(candle_rows(span.cut(self.held)))


@given(st.sets(st.integers(0, 30)), st.integers(1, 7), st.integers(0, 30), st.none() | st.integers(1, 40))
def test_pages_are_the_whole_span(minutes, size, start, end):
    candles = [candle(n * MINUTE)._replace(close_time=(n + 1) * MINUTE - 1) for n in sorted(minutes)]
    source = Paged(candles, size)
    last = None if end is None else start * MINUTE + end * MINUTE
    pages = list(candle_pages(source, BTC, timeframe("1m"), (start * MINUTE, last), health=False))
    wanted = [
        c.open_time for c in candles if c.open_time >= start * MINUTE and (last is None or c.open_time < last)
    ]
    assert [time.value for page in pages for time in page.rows["open_time"]] == wanted
    assert source.asked <= len(wanted) // size + 1


tiers = st.dictionaries(st.integers(0, 20), st.integers(1, 4)).map(
    lambda held: [candle(time, revision) for time, revision in held.items()]
)


@given(st.lists(tiers, min_size=1, max_size=3), st.integers(0, 20), st.none() | st.integers(1, 25), st.data())
def test_rows_are_merged_as_candles_are(held, start, end, data):
    span = CandleSpan(data.draw(st.integers(1, 30)), start, end)
    stores = [Rows(str(number), *candles) for number, candles in enumerate(held)]
    broken = data.draw(st.sets(st.sampled_from(stores)))
    for store in broken:
        store.fails = OSError("away")
    expected = CandleHistory(stores, grace_ms=3).read(BTC, "1m", span)
    rows, missing = RowHistory(stores, 3).read(BTC, "1m", span)
    assert rows.equals(candle_rows(expected.candles))
    assert missing == expected.missing


def test_what_could_not_be_read_is_noted_and_warned_of():
    rows = candle_rows([candle(0)])
    pages = [
        RowPage(rows, (MissingTier("ClickHouse", "refused"),)),
        RowPage(rows, (MissingTier("ClickHouse", "gone"),)),
    ]
    with pytest.warns(IncompleteRead, match=r"^read without ClickHouse \(gone\)$"):
        found = noted(rows, Paged([], 1), pages)
    assert found.schema.metadata == {
        b"k2.source": b"memory",
        b"k2.simulated": b"",
        b"k2.missing": b'[{"tier": "ClickHouse", "reason": "gone"}]',
    }


class Failing(Paged):
    """Trades in two pages, of which the second one lacks a store that failed meanwhile."""

    def trades(self, instrument, start, end):
        rows = silver_rows({"raw_offset": offset} for offset in range(2))
        yield RowPage(rows.slice(0, 1))
        yield RowPage(rows.slice(1), (MissingTier("Iceberg", "gone"),))


def test_a_store_that_fails_after_the_first_page_is_noted_and_warned_of(monkeypatch):
    monkeypatch.setattr(trades, "open_trades", lambda *_: Failing([], 1))
    with pytest.warns(IncompleteRead, match=r"^read without Iceberg \(gone\)$"):
        found = trades.read_trades("kraken", "BTC/USD")
    assert found["raw_offset"].to_pylist() == [0, 1]
    assert found.schema.metadata[b"k2.missing"] == b'[{"tier": "Iceberg", "reason": "gone"}]'
    with pytest.warns(IncompleteRead, match=r"^read without Iceberg \(gone\)$") as warned:
        assert len(trades.scan_trades("kraken", "BTC/USD").read_all()) == 2
    assert len(warned) == 1
