"""Candles of several tiers are one series: each once, in its highest revision, none asked for in vain."""

import asyncio
import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.candle import Candle
from k2stream.history.reader import AWAY_SECONDS, OLDEST_SECONDS, Answer, History, Missing
from k2stream.history.seams import Span, newest, rest
from k2stream.instruments import Instrument

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
ONE = Decimal(1)


def candle(time, revision=1):
    return Candle(
        "kraken", "XBT/USD", "BTC/USD", "1m", time, time + 1, *[ONE] * 9, 1, time, time, revision, True, 0, 0
    )


class Stored:
    """A tier in memory."""

    def __init__(self, name, *candles):
        self.name, self.held, self.asked, self.fails = name, newest(candles), [], None

    def oldest(self, instrument, timeframe):
        if self.fails:
            raise self.fails
        return min(self.held, default=None)

    def candles(self, instrument, timeframe, span):
        self.asked.append(span)
        return span.cut(self.held)[::-1]


def read(history, span, held=(), since=None):
    return history.read(BTC, "1m", span, held, since)


@pytest.mark.parametrize(
    ("span", "found", "since", "expected"),
    [
        (Span(3), 3, 50, None),
        (Span(3), 1, 50, Span(3, None, 51)),
        (Span(3), 0, None, Span(4)),
        (Span(3, end=20), 0, 50, Span(4, None, 20)),
        (Span(3, start=50), 0, 50, None),
        (Span(3, start=40), 3, 50, Span(3, 40, 51)),
        (Span(3, start=40, end=45), 0, 50, Span(3, 40, 45)),
        (Span(3, start=40), 0, None, Span(3, 40)),
    ],
)
def test_what_a_colder_tier_is_asked(span, found, since, expected):
    assert rest(span, found, since) == expected


def test_a_candle_of_two_tiers_is_taken_once_in_its_highest_revision():
    hot = Stored("hot", candle(10, 7), candle(20, 5), candle(30, 1))
    held = [candle(20, 2), candle(30, 9)]  # a rebuilt table begins with half a candle
    assert read(History([hot]), Span(5), held, 20) == Answer([candle(10, 7), candle(20, 5), candle(30, 9)])


spans = st.builds(Span, st.integers(1, 8), st.none() | st.integers(0, 12), st.none() | st.integers(0, 12))


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), spans)
def test_tiers_of_different_age_answer_as_one(table_from, hot_from, cold_to, span):
    """The tables hold the newest, the hot tier nearly all, the cold one what was committed."""
    everything = newest(candle(time, time + 1) for time in range(10))
    tables = {time: c for time, c in everything.items() if time >= max(table_from, hot_from)}
    hot = Stored("hot", *(c for time, c in everything.items() if time >= hot_from))
    cold = Stored("cold", *(c._replace(revision=1) for time, c in everything.items() if time < cold_to))
    kept = {time: c for time, c in everything.items() if time >= hot_from}
    kept = kept if span.newest else {**cold.held, **kept}
    answer = read(History([hot, cold]), span, span.cut(tables), min(tables, default=None))
    assert answer == Answer(span.cut(kept))


def test_a_tier_that_begins_no_earlier_is_not_read():
    hot, cold = Stored("hot", candle(20)), Stored("cold", candle(20), candle(10))
    assert read(History([hot, cold]), Span(5, 0), [candle(20)], 20).candles == [candle(10), candle(20)]
    assert (hot.asked, cold.asked) == ([], [Span(5, 0, 21)])


@pytest.mark.parametrize("held", [(), (candle(20), candle(30))])
def test_the_newest_candles_wait_for_no_tier_behind_the_first_that_answers(held):
    hot, cold = Stored("hot", *held), Stored("cold", candle(10))
    history = History([hot, cold])
    assert read(history, Span(5), [candle(30)], 30).candles == sorted({candle(30), *held})
    assert cold.asked == []
    assert read(history, Span(5, end=21)).candles == [candle(10), *held[:1]]
    hot.fails = OSError("no route")
    again = read(History([hot, cold]), Span(5), [candle(30)], 30)
    assert again.candles == [candle(10), candle(30)]


def test_a_tier_that_is_away_is_named_and_rests_before_it_is_asked_again():
    now = 0.0
    hot, cold = Stored("hot", candle(10), candle(20)), Stored("cold", candle(10))
    history = History([hot, cold], lambda: now)
    hot.fails = OSError("no\nroute")
    expected = Answer([candle(10), candle(30)], (Missing("hot", "no route"),))
    assert read(history, Span(5), [candle(30)], 30) == expected
    hot.fails = None
    assert read(history, Span(5), [candle(30)], 30) == expected
    now = AWAY_SECONDS
    assert read(history, Span(5), [candle(30)], 30) == Answer([candle(10), candle(20), candle(30)])


def test_where_a_tier_begins_is_asked_now_and_then():
    now = 0.0
    cold = Stored("cold")
    history = History([cold], lambda: now)
    assert read(history, Span(5)).candles == []
    cold.held = newest([candle(10)])
    assert read(history, Span(5)).candles == []
    now = OLDEST_SECONDS
    assert read(history, Span(5)).candles == [candle(10)]


async def test_the_event_loop_is_free_while_a_tier_answers():
    asked, go = threading.Event(), threading.Event()

    class Slow(Stored):
        def oldest(self, instrument, timeframe):
            asked.set()
            assert go.wait(10)
            return super().oldest(instrument, timeframe)

    history = History([Slow("cold", candle(10))])
    reading = asyncio.create_task(history.extended(BTC, "1m", Span(5), [], None))
    assert await asyncio.to_thread(asked.wait, 10)
    recent = await history.extended(BTC, "1m", Span(1), [candle(20)], 20)
    assert (recent, reading.done()) == (Answer([candle(20)]), False)
    go.set()
    assert await reading == Answer([candle(10)])
