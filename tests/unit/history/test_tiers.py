"""Candles of several tiers are one series: each once, in its highest revision, none asked for in vain."""

import asyncio
import threading
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.history.reader import AWAY_SECONDS, OLDEST_SECONDS, CandleAnswer, CandleHistory, MissingTier
from k2stream.history.tiers import CandleSpan, UnknownRange, newest, rest
from k2stream.model.candle import Candle
from k2stream.model.instrument import Instrument

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
ONE = Decimal(1)


def candle(time, revision=1):
    amounts = (ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE)
    return Candle(
        "kraken", "XBT/USD", "BTC/USD", "1m", time, time + 1, *amounts, 1, time, time, revision, True, 0, 0
    )


class Stored:
    """A tier in memory."""

    def __init__(self, name, *candles):
        self.name, self.held, self.asked, self.fails = name, newest(candles), [], None
        self.made_anew: int | None = None

    def oldest(self, instrument, timeframe):
        if self.fails:
            raise self.fails
        return min(self.held, default=None)

    def begun(self, instrument, timeframe):
        return self.oldest(instrument, timeframe) if self.made_anew is None else self.made_anew

    def latest(self, instrument, timeframe):
        return max(self.held, default=None)

    def candles(self, instrument, timeframe, span):
        self.asked.append(span)
        return span.cut(self.held)[::-1]


def read(history, span, held=(), since=None):
    return history.read(BTC, "1m", span, held, since)


@pytest.mark.parametrize(
    ("span", "found", "since", "expected"),
    [
        (CandleSpan(3), 3, 50, None),
        (CandleSpan(3), 1, 50, CandleSpan(3, None, 51)),
        (CandleSpan(3), 0, None, CandleSpan(4)),
        (CandleSpan(3, end=20), 0, 50, CandleSpan(4, None, 20)),
        (CandleSpan(3, start=50), 0, 50, None),
        (CandleSpan(3, start=40), 3, 50, CandleSpan(3, 40, 51)),
        (CandleSpan(3, start=40, end=45), 0, 50, CandleSpan(3, 40, 45)),
        (CandleSpan(3, start=40), 0, None, CandleSpan(3, 40)),
    ],
)
def test_what_a_colder_tier_is_asked(span, found, since, expected):
    assert rest(span, found, since) == expected


def test_a_candle_of_two_tiers_is_taken_once_in_its_highest_revision():
    hot = Stored("hot", candle(10, 7), candle(20, 5), candle(30, 1))
    held = [candle(20, 2), candle(30, 9)]  # a rebuilt table begins with half a candle
    assert read(CandleHistory([hot]), CandleSpan(5), held, 20) == CandleAnswer(
        [candle(10, 7), candle(20, 5), candle(30, 9)]
    )


spans = st.builds(
    CandleSpan, st.integers(1, 8), st.none() | st.integers(0, 12), st.none() | st.integers(0, 12)
)


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), spans)
def test_tiers_of_different_age_answer_as_one(table_from, hot_from, cold_to, span):
    """The tables hold the newest, the hot tier nearly all, the cold one what was committed."""
    everything = newest(candle(time, time + 1) for time in range(10))
    tables = {time: c for time, c in everything.items() if time >= max(table_from, hot_from)}
    hot = Stored("hot", *(c for time, c in everything.items() if time >= hot_from))
    cold = Stored("cold", *(c._replace(revision=1) for time, c in everything.items() if time < cold_to))
    kept = {time: c for time, c in everything.items() if time >= hot_from}
    kept = kept if span.newest else {**cold.held, **kept}
    answer = read(CandleHistory([hot, cold]), span, span.cut(tables), min(tables, default=None))
    assert answer.candles == span.cut(kept)
    unknown = set(range(cold_to, hot_from)) if cold_to else set()
    for before, after in pairwise(answer.candles):
        between = set(range(before.open_time + 1, after.open_time))
        assert any(hole.meets(before, after) for hole in answer.holes) >= bool(between & unknown)
    if cold_to > hot_from or not cold_to:
        assert (answer.missing, answer.holes) == ((), ())


def test_what_a_lagging_writer_has_not_brought_is_a_hole_and_it_is_named():
    """The tables have forgotten 10 to 19, the sink has written up to 9."""
    everything = [candle(time) for time in range(30)]
    hot, cold = Stored("hot", *everything[:10]), Stored("cold", *everything[:8])
    answer = read(CandleHistory([hot, cold]), CandleSpan(100, 0, 30), everything[20:], 20)
    assert [c.open_time for c in answer.candles] == [*range(10), *range(20, 30)]
    assert [item.tier for item in answer.missing] == ["hot", "cold"]
    assert UnknownRange(9, 20) in answer.holes
    assert not UnknownRange(9, 20).meets(candle(8), candle(9))
    assert not UnknownRange(9, 20).meets(candle(20), candle(25))


def test_a_colder_tier_that_reaches_over_a_hole_closes_it():
    everything = [candle(time) for time in range(30)]
    hot, cold = Stored("hot", *everything[3:10]), Stored("cold", *everything[:25])
    for span in (CandleSpan(100, 0, 30), CandleSpan(100)):
        answer = read(CandleHistory([hot, cold]), span, everything[20:], 20)
        assert answer == CandleAnswer(everything)


@pytest.mark.parametrize("since", [25, 15])
def test_a_window_that_was_revised_since_does_not_tell_where_a_tier_begins(since):
    """ClickHouse was made anew at 20, and the window 5, of a backfill, was revised since."""
    everything = [candle(time) for time in range(30)]
    hot, cold = Stored("hot", candle(5, 2), *everything[20:]), Stored("cold", *everything[:25])
    hot.made_anew = 20
    answer = read(CandleHistory([hot, cold]), CandleSpan(100, 0), everything[since:], since)
    assert answer == CandleAnswer([*everything[:5], candle(5, 2), *everything[6:]])
    alone = read(CandleHistory([hot]), CandleSpan(100, 0), everything[since:], since)
    assert [c.open_time for c in alone.candles] == [5, *range(min(since, 20), 30)]


def test_a_tier_within_the_grace_may_still_get_an_older_window():
    hot = Stored("hot", *(candle(time) for time in range(21)))
    history = CandleHistory([hot], grace_ms=5)
    answer = read(history, CandleSpan(100, 0), [candle(18), candle(30)], 18)
    assert answer.holes == (UnknownRange(15, 18),)


def test_the_tier_that_could_tell_is_away():
    hot, cold = Stored("hot", candle(10), candle(20)), Stored("cold", candle(10))
    hot.fails = OSError("no route")
    answer = read(CandleHistory([hot, cold]), CandleSpan(5, 0), [candle(30)], 30)
    assert answer.holes == (UnknownRange(10, 30),)
    assert [item.tier for item in answer.missing] == ["hot"]


def test_a_tier_that_begins_no_earlier_is_not_read():
    hot, cold = Stored("hot", candle(20)), Stored("cold", candle(20), candle(10))
    assert read(CandleHistory([hot, cold]), CandleSpan(5, 0), [candle(20)], 20).candles == [
        candle(10),
        candle(20),
    ]
    assert (hot.asked, cold.asked) == ([], [CandleSpan(5, 0, 21)])


@pytest.mark.parametrize("held", [(), (candle(20), candle(30))])
def test_the_newest_candles_wait_for_no_tier_behind_the_first_that_answers(held):
    hot, cold = Stored("hot", *held), Stored("cold", candle(10))
    history = CandleHistory([hot, cold])
    assert read(history, CandleSpan(5), [candle(30)], 30).candles == sorted({candle(30), *held})
    assert cold.asked == []
    assert read(history, CandleSpan(5, end=21)).candles == [candle(10), *held[:1]]
    hot.fails = OSError("no route")
    again = read(CandleHistory([hot, cold]), CandleSpan(5), [candle(30)], 30)
    assert again.candles == [candle(10), candle(30)]


def test_a_tier_that_is_away_is_named_and_rests_before_it_is_asked_again():
    now = 0.0
    hot, cold = Stored("hot", candle(10), candle(20), candle(30)), Stored("cold", candle(10))
    history = CandleHistory([hot, cold], lambda: now)
    hot.fails = OSError("no\nroute")
    expected = CandleAnswer(
        [candle(10), candle(30)], (MissingTier("hot", "no route"),), (UnknownRange(10, 30),)
    )
    assert read(history, CandleSpan(5), [candle(30)], 30) == expected
    hot.fails = None
    assert read(history, CandleSpan(5), [candle(30)], 30) == expected
    now = AWAY_SECONDS
    assert read(history, CandleSpan(5), [candle(30)], 30) == CandleAnswer(
        [candle(10), candle(20), candle(30)]
    )


def test_where_a_tier_begins_is_asked_now_and_then():
    now = 0.0
    cold = Stored("cold")
    history = CandleHistory([cold], lambda: now)
    assert read(history, CandleSpan(5)).candles == []
    cold.held = newest([candle(10)])
    assert read(history, CandleSpan(5)).candles == []
    now = OLDEST_SECONDS
    assert read(history, CandleSpan(5)).candles == [candle(10)]


async def test_the_event_loop_is_free_while_a_tier_answers():
    asked, go = threading.Event(), threading.Event()

    class Slow(Stored):
        def oldest(self, instrument, timeframe):
            asked.set()
            assert go.wait(10)
            return super().oldest(instrument, timeframe)

    history = CandleHistory([Slow("cold", candle(10))])
    reading = asyncio.create_task(history.extended(BTC, "1m", CandleSpan(5), [], None))
    assert await asyncio.to_thread(asked.wait, 10)
    recent = await history.extended(BTC, "1m", CandleSpan(1), [candle(20)], 20)
    assert (recent, reading.done()) == (CandleAnswer([candle(20)]), False)
    go.set()
    assert await reading == CandleAnswer([candle(10)])
