"""Candles as JSON: exact, ascending, filled only where the market was quiet."""

import json
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.history.reader import CandleHistory, MissingTier
from k2stream.history.tiers import newest
from k2stream.history.timeframes import timeframe
from k2stream.model.candle import Candle
from k2stream.model.certificate import FeedSpan
from k2stream.model.events import EventKind, FeedEvent
from k2stream.model.instrument import Instrument, Instruments
from k2stream.web import render
from k2stream.web.health import FeedHealth
from k2stream.web.query import Query
from k2stream.web.spans import Spans

BTC = Instrument("kraken", "XBT/USD", "BTC/USD")
FRAME = timeframe("1m")


def candle(minute, close="2.5", **changes):
    opened = minute * 60_000
    one = Decimal("1.000000000000000000")
    first = opened * 1000 + 5
    return Candle(
        "kraken", "XBT/USD", "BTC/USD", "1m", opened, opened + 59_999, one, Decimal("1e20"), Decimal("1e-18"),
        Decimal(close), one, one, one, one, one, 3, first, first + 7, 4, True, 0, 17,
    )._replace(**changes)  # fmt: skip


def always(start, end):
    return True


def test_decimals_are_plain_strings_and_nothing_is_lost():
    answer = json.loads(render.body(BTC, FRAME, [candle(1)], simulated=False))
    assert answer["symbol"] == "XBT/USD"
    assert "simulated" not in answer
    (fields,) = answer["candles"]
    assert (fields["open"], fields["high"], fields["low"]) == ("1", "1" + "0" * 20, "0.000000000000000001")
    assert (fields["open_time"], fields["close_time"], fields["final"], fields["revision"]) == (
        60_000,
        119_999,
        True,
        4,
    )
    assert (fields["first_trade_time"], fields["raw_offset"], fields["filled"]) == (60_000_005, 17, False)


def test_simulated_feeds_are_said_to_be():
    assert json.loads(render.body(BTC, FRAME, [], simulated=True))["simulated"] is True
    assert json.loads(render.listing(Instruments([BTC]), simulated=True))["simulated"] is True
    assert json.loads(render.error({"error": "x"}, simulated=True))["simulated"] is True


def test_ccxt_rows_have_exact_numbers():
    data = render.ccxt([candle(1)])
    (row,) = json.loads(data, parse_float=Decimal)
    assert row == [60_000, 1, 10**20, Decimal("1e-18"), Decimal("2.5"), 1]


def test_quiet_windows_repeat_the_close_without_trades():
    filled = render.fill_previous([candle(1), candle(4)], Query(), always)
    assert [c.open_time // 60_000 for c in filled] == [1, 2, 3, 4]
    quiet = filled[1]
    assert quiet.open == quiet.high == quiet.low == quiet.close == quiet.vwap == Decimal("2.5")
    assert quiet.volume == quiet.quote_volume == quiet.trade_count == 0
    assert quiet.close_time == 179_999
    fields = json.loads(render.body(BTC, FRAME, filled, simulated=False))["candles"][1]
    assert (fields["filled"], fields["volume"], fields["first_trade_time"]) == (True, "0", None)


def test_windows_that_a_lagging_sink_has_not_written_are_not_quiet():
    """ClickHouse is behind, the tables have forgotten 10 to 19: they stay empty, what is known is filled."""
    everything = [candle(minute) for minute in range(30) if minute not in (4, 25)]
    held = [c for c in everything if c.open_time >= 20 * 60_000]

    class Tier:
        def __init__(self, name):
            self.name, self.held = name, newest(everything[:9])

        def oldest(self, instrument, timeframe):
            return min(self.held)

        def begun(self, instrument, timeframe):
            return min(self.held)

        def latest(self, instrument, timeframe):
            return max(self.held)

        def candles(self, instrument, timeframe, span):
            return span.cut(self.held)

    query = Query(limit=100, start=0, end=30 * 60_000, fill="prev")
    answer = CandleHistory([Tier("hot"), Tier("cold")]).read(BTC, "1m", query.span, held, held[0].open_time)
    filled = render.fill_previous(answer.candles, query, always, answer.holes)
    body = json.loads(render.body(BTC, FRAME, filled, False, answer.missing, always))
    assert [c["open_time"] // 60_000 for c in body["candles"] if c["filled"]] == [4, 25]
    assert [tier["tier"] for tier in body["missing"]] == ["hot", "cold"]


def test_neighbours_need_no_filling():
    assert render.fill_previous([candle(1), candle(2)], Query(), always) == [candle(1), candle(2)]
    assert render.fill_previous([], Query(), always) == []


@pytest.mark.parametrize(
    ("query", "minutes"), [(Query(limit=3), [7, 8, 9]), (Query(limit=3, start=0), [1, 2, 3])]
)
def test_filling_respects_the_limit(query, minutes):
    found = [candle(1), candle(4), candle(9)]
    assert [c.open_time // 60_000 for c in render.fill_previous(found, query, always)] == minutes


@pytest.mark.parametrize("start", [None, 0])
def test_no_more_is_filled_than_is_answered(monkeypatch, start):
    made = []

    def quiet(before, time):
        made.append(time)
        return candle(time // 60_000)

    monkeypatch.setattr(render, "_quiet", quiet)
    found = [candle(minute) for minute in range(1, 100_000, 1_000)]
    filled = render.fill_previous(found, Query(limit=1_500, start=start), always)
    minutes = range(1, 1_501) if start == 0 else range(99_001 - 1_499, 99_002)
    assert [c.open_time // 60_000 for c in filled] == list(minutes)
    assert len(made) < 2_000


def test_a_year_of_silence_is_not_filled_beyond_the_limit():
    filled = render.fill_previous([candle(1), candle(525_600)], Query(limit=100), always)
    assert [c.open_time // 60_000 for c in filled] == list(range(525_501, 525_601))


SECOND = 1_000_000
MINUTE = 60 * SECOND


def health_of(*events, exchange="kraken"):
    health = FeedHealth()
    health.ready = True
    for event in events:
        health.add(FeedEvent(exchange=exchange, **event))
    return health


@pytest.mark.parametrize(
    ("kind", "symbol", "minute", "filled"),
    [
        (EventKind.GAP, "XBT/USD", 3, False),
        (EventKind.GAP, "ETH/USD", 3, True),
        (EventKind.DISCONNECTED, "", 3, False),
        (EventKind.SILENCE, "", 1, False),
        (EventKind.CONNECTED, "", 5, False),
        (EventKind.DUPLICATE, "XBT/USD", 3, True),
        (EventKind.JUMP, "XBT/USD", 3, True),
        (EventKind.GAP, "XBT/USD", 0, True),
        (EventKind.GAP, "XBT/USD", 7, True),
        (EventKind.DISCONNECTED, "", 7, True),
    ],
)
def test_a_dead_feed_is_not_a_quiet_market(kind, symbol, minute, filled):
    health = health_of({"kind": kind, "time": minute * MINUTE + 30 * SECOND, "symbol": symbol})
    found = render.fill_previous([candle(1), candle(5)], Query(), health.checker("kraken", "XBT/USD"))
    assert [c.open_time // 60_000 for c in found] == ([1, 2, 3, 4, 5] if filled else [1, 5])
    assert health.checker("binance", "XBT/USD")(0, 10**18) is True


def test_a_candle_says_whether_its_feed_was_healthy_throughout():
    health = health_of(
        {"kind": EventKind.CONNECTED, "time": 1 * MINUTE},  # nobody listened before
        {"kind": EventKind.DISCONNECTED, "time": 3 * MINUTE + 1},
        {"kind": EventKind.CONNECTED, "time": 5 * MINUTE - 1, "since": 3 * MINUTE},
        {"kind": EventKind.CONNECTED, "time": 8 * MINUTE, "since": 7 * MINUTE + 5},  # kill -9, no last word
        {"kind": EventKind.GAP, "time": 10 * MINUTE + 9, "since": 10 * MINUTE - 9, "symbol": "XBT/USD"},
        {"kind": EventKind.SILENCE, "time": 12 * MINUTE + 30 * SECOND},
        {"kind": EventKind.DISCONNECTED, "time": 12 * MINUTE + 31 * SECOND},
    )
    for number, count in ((5, 0), (6, 2)):  # ids that skip, and ids of trades that were missing
        for kind, time in ((EventKind.JUMP, number * MINUTE), (EventKind.BACKFILLED, 11 * MINUTE)):
            event = FeedEvent(kind=kind, exchange="kraken", time=time, symbol="XBT/USD", count=count)
            health.add(msgspec.structs.replace(event, first_missing=number, last_missing=number + 9))
    of = "kraken", "XBT/USD"
    candles = [candle(n) for n in range(14)]
    answer = render.body(BTC, FRAME, candles, False, (), health.checker(*of), partial(health.reason, *of))
    found = json.loads(answer)["candles"]
    bad = {n for n, c in enumerate(found) if not c["feed_healthy"]}
    assert {n for n, c in enumerate(found) if c["feed_reason"]} == bad
    assert [c["feed_reason"] for c in found[:3]] == ["before", "began", None]
    assert bad == {0, 1, 3, 4, 6, 7, 8, 9, 10, 12, 13}
    assert health.checker("kraken", "ETH/USD")(9 * MINUTE, 11 * MINUTE) is True
    health.ready = False
    assert health.checker("kraken", "ETH/USD")(9 * MINUTE, 11 * MINUTE) is None


def test_a_candle_in_which_the_feed_began_is_not_one_in_which_it_was_down():
    began = {"kind": EventKind.CONNECTED, "time": 3 * MINUTE + 20 * SECOND}
    later = {"kind": EventKind.CONNECTED, "time": 5 * MINUTE + 9, "since": 5 * MINUTE + 1}  # kill -9
    added = {"kind": EventKind.SUBSCRIBED, "time": 6 * MINUTE + 1, "symbol": "ADA/USD"}
    health = health_of(began, later, added)

    def reasons(symbol):
        minutes = [(n * MINUTE, (n + 1) * MINUTE) for n in range(2, 8)]
        return [(health.checker("kraken", symbol)(*m), health.reason("kraken", symbol, *m)) for m in minutes]

    before, within, lost, good = (False, "before"), (False, "began"), (False, "lost"), (True, None)
    assert reasons("XBT/USD") == [before, within, good, lost, good, good]
    assert reasons("ADA/USD") == [before, before, before, before, within, good]
    health.add(FeedEvent(exchange="kraken", kind=EventKind.DISCONNECTED, time=3 * MINUTE + 40 * SECOND))
    assert reasons("XBT/USD")[:2] == [before, lost]
    health.ready = False
    assert reasons("XBT/USD")[1] == (None, None)


def test_the_certified_span_of_a_beginning_is_as_it_was():
    health = health_of({"kind": EventKind.CONNECTED, "time": 3 * MINUTE + 20})
    of = "kraken", "XBT/USD"
    assert health.lost(*of, 3 * MINUTE, 4 * MINUTE - 1) == (FeedSpan(3 * MINUTE, 3 * MINUTE + 20),)
    assert health.lost(*of, 4 * MINUTE, 5 * MINUTE - 1) == ()


def test_a_candle_is_as_healthy_as_the_subscription_of_its_symbol():
    xbt, eth = "XBT/USD", "ETH/USD"
    kinds = EventKind
    health = health_of(
        {"kind": kinds.CONNECTED, "time": 1 * MINUTE},
        {"kind": kinds.WITHDRAWN, "time": 3 * MINUTE, "symbol": eth, "since": 2 * MINUTE},
        {"kind": kinds.DISCONNECTED, "time": 7 * MINUTE, "since": 6 * MINUTE},  # looked at late
        {"kind": kinds.REFUSED, "time": 8 * MINUTE, "symbol": eth, "since": 2 * MINUTE},
        {"kind": kinds.SUBSCRIBED, "time": 8 * MINUTE, "symbol": xbt, "since": 6 * MINUTE},
    )
    now = 20 * MINUTE

    def bad(symbol):
        healthy = health.checker("kraken", symbol)
        return {n for n in range(2, 20) if not healthy(n * MINUTE, (n + 1) * MINUTE)}

    assert bad(xbt) == {6, 7, 8}
    assert bad(eth) == set(range(2, 20))
    subscribed: dict[str, Any] = {"symbol": eth, "time": 10 * MINUTE, "since": 2 * MINUTE}
    health.add(FeedEvent(exchange="kraken", kind=kinds.SUBSCRIBED, **subscribed))
    assert bad(xbt) == {6, 7, 8}
    assert bad(eth) == set(range(2, 11))
    again: dict[str, Any] = {"time": 10 * MINUTE + 1, "since": 10 * MINUTE + 1}  # all symbols are up by now
    health.add(FeedEvent(exchange="kraken", kind=kinds.CONNECTED, **again))
    assert bad(xbt) == {6, 7, 8}
    health.add(FeedEvent(exchange="kraken", kind=kinds.DISCONNECTED, time=now, since=12 * MINUTE))
    assert bad(xbt) == {6, 7, 8, *range(12, 20)}
    health.add(FeedEvent(exchange="kraken", kind=kinds.CONNECTED, time=14 * MINUTE, since=12 * MINUTE))
    assert bad(eth) == {*range(2, 11), 12, 13, 14}


spans = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 5)).map(lambda p: (p[0], p[0] + p[1])), max_size=8
)


@given(spans, st.integers(0, 36), st.integers(1, 5))
def test_spans_are_what_each_moment_says(added, start, length):
    kept = Spans()
    for span in added:
        kept.add(*span)
    moments = {moment for first, last in added for moment in range(first, last + 1)}
    assert kept.meet(start, start + length) == bool(moments & set(range(start, start + length)))


def test_nothing_is_known_before_the_first_event_that_is_kept():
    health = health_of()
    event = FeedEvent(kind=EventKind.DUPLICATE, exchange="binance", time=3 * MINUTE)
    health.take(msgspec.json.encode(event), 7, expired=True)
    healthy = health.checker("kraken", "XBT/USD")
    assert (healthy(2 * MINUTE, 4 * MINUTE), healthy(3 * MINUTE, 4 * MINUTE)) == (None, True)


def test_missing_tiers_are_named():
    answer = json.loads(render.body(BTC, FRAME, [], False, [MissingTier("Iceberg", "no such bucket")]))
    assert answer["missing"] == [{"tier": "Iceberg", "reason": "no such bucket"}]
    assert "missing" not in json.loads(render.body(BTC, FRAME, [], False))
