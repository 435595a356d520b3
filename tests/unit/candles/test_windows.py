"""The rules of open, closed and retained windows, by hand."""

from decimal import Decimal

import pytest

from k2stream.candles.codec import KeyProgress, dumps_progress, dumps_state, loads_progress, loads_state
from k2stream.candles.state import to_candle
from k2stream.candles.windows import Windows
from k2stream.model.candle import TIMEFRAMES
from tests.unit.candles.reference import Trade
from tests.unit.candles.stores import GRACE, Worker

KEY = "binance:BTC/USDT"
MINUTE = 60_000_000
T0 = 1_700_006_400_000_000  # an hour starts


def trade(offset, time, price="100", quantity="1", *, taker_buy=True, sequence=0):
    return Trade(KEY, time, sequence, offset, Decimal(price), Decimal(quantity), taker_buy, 1, time + 7000)


def state(worker, timeframe="1m", open_time=T0 // 1000):
    return worker.stores[timeframe].get(KEY, open_time)


def test_a_trade_at_the_end_belongs_to_the_next_window():
    worker = Worker()
    worker.apply([trade(0, T0), trade(1, T0 + MINUTE - 1), trade(2, T0 + MINUTE)])
    assert state(worker).records == 2
    assert state(worker, open_time=T0 // 1000 + 60_000).records == 1
    assert state(worker, "5m").records == 3


def test_open_and_close_go_by_time_then_sequence_then_position():
    worker = Worker()
    worker.apply([trade(0, T0 + 5, "3"), trade(1, T0, "2", sequence=9), trade(2, T0, "1", sequence=4)])
    worker.apply([trade(3, T0 + 5, "4"), trade(4, T0 + 5, "5", sequence=-1)])
    assert (state(worker).open, state(worker).close) == (10**18, 4 * 10**18)


def test_a_window_closes_when_the_watermark_reaches_its_end():
    worker = Worker()
    worker.apply([trade(0, T0), trade(1, T0 + MINUTE + GRACE - 1)])
    assert not state(worker).final
    changes = worker.apply([trade(2, T0 + MINUTE + GRACE)])
    assert changes.updated["1m", KEY, T0 // 1000].final
    assert not state(worker, "5m").final


def test_a_trade_within_the_grace_revises_and_one_past_it_is_late_in_every_timeframe():
    worker = Worker()
    worker.apply([trade(0, T0), trade(1, T0 + MINUTE + GRACE - 1)])
    assert not len(worker.apply([trade(2, T0 + 1)]).late)
    assert state(worker).records == 2
    worker.apply([trade(3, T0 + MINUTE + GRACE)])
    before = worker.candles()
    changes = worker.apply([trade(4, T0 + 2)])
    assert changes.late.tolist() == [0]
    assert not changes.updated
    assert worker.candles() == before


def test_each_key_has_its_own_watermark():
    worker = Worker()
    other = trade(1, T0 + 10 * MINUTE)._replace(key="kraken:BTC/USD")
    changes = worker.apply([trade(0, T0), other, trade(2, T0 + 1)])
    assert not len(changes.late)
    assert not state(worker).final


SECOND = 1_000_000
YEAR = 365 * 24 * 3600 * SECOND


def test_a_trade_dated_ahead_costs_no_other_trade_its_candle():
    worker = Worker()
    for second in range(180):
        now = T0 + second * SECOND
        batch = [trade(2 * second, now)]
        if second == 59:  # the last second of a minute, where a second ahead is another window
            batch.append(trade(2 * second + 1, now + YEAR)._replace(receive_time=now))
        changes = worker.apply(batch)
        assert not len(changes.late)
        assert len(changes.ahead) == (second == 59)
    assert [state(worker, open_time=T0 // 1000 + minute * 60_000).records for minute in range(3)] == [60] * 3
    assert state(worker, open_time=(T0 + 59 * SECOND + YEAR) // MINUTE * 60_000).records == 1
    assert not state(worker, open_time=(T0 + 59 * SECOND + YEAR) // MINUTE * 60_000).final


def test_a_watermark_that_was_moved_ahead_before_there_was_a_bound_is_taken_back():
    worker = Worker()
    worker.apply([trade(0, T0), trade(1, T0 + YEAR)._replace(receive_time=T0 + 1)])
    worker.progress.put(KEY, KeyProgress(1, T0 + YEAR))  # as release 1ee9d02 stored it
    worker.flush()
    worker = Worker(worker.durable())
    assert worker.progress.get(KEY) == KeyProgress(1, T0 + 1 + SECOND)
    assert not len(worker.apply([trade(2, T0 + 2 * SECOND)]).late)


def test_the_clock_closes_what_is_silent_and_past_its_grace_only():
    worker = Worker(now=T0)
    worker.apply([trade(0, T0)], now=T0 + 1000)
    end = T0 + MINUTE + GRACE
    assert not worker.close_silent(end - 1)
    worker.apply([trade(1, T0 + 1)], now=end - 500_000)
    assert not worker.close_silent(end)  # idle is a second
    assert [window for window, _ in worker.close_silent(end + 500_000).items()] == [("1m", KEY, T0 // 1000)]
    assert state(worker).final
    assert not worker.close_silent(end + 600_000)


def test_what_the_clock_closed_is_revised_by_a_trade_on_time_and_stays_final():
    worker = Worker(now=T0)
    worker.apply([trade(0, T0)], now=T0)
    worker.close_silent(T0 + 2 * MINUTE)
    assert state(worker).revision == 2
    changes = worker.apply([trade(1, T0 + 1)], now=T0 + 3 * MINUTE)
    assert changes.updated["1m", KEY, T0 // 1000].final
    assert (state(worker).records, state(worker).revision) == (2, 3)


def test_windows_open_after_a_restart_are_closed():
    worker = Worker()
    worker.apply([trade(0, T0)], now=T0)
    worker.flush()
    again = Worker(worker.durable(), now=T0 + 5 * MINUTE)
    assert not again.close_silent(T0 + 5 * MINUTE)  # silent for how long is not known yet
    assert {w[0] for w in again.close_silent(T0 + 5 * MINUTE + 1_000_000)} == {"1m"}


def test_closed_windows_leave_one_flush_after_their_retention_with_a_tombstone():
    worker = Worker(retention=2)
    for minute in range(5):
        worker.apply([trade(minute, T0 + minute * MINUTE)])
    assert sum(s.final for *_, s in worker.stores["1m"].windows()) == 3
    worker.flush()
    assert len(worker.durable()["1m"]) == 5
    worker.flush()
    assert sorted(time for _, time in worker.durable()["1m"]) == [
        T0 // 1000 + minute * 60_000 for minute in (1, 2, 3, 4)
    ]


def test_a_raised_retention_does_not_open_again_what_a_smaller_one_dropped():
    """What is fetched for a window that was dropped would make a final candle of a part of its trades."""
    worker = Worker(retention=2)
    for minute in range(6):
        worker.apply([trade(minute, T0 + minute * MINUTE)])
    worker.flush()
    worker.flush()
    again = Worker(worker.durable(), retention=10, least=2)
    held = [time for time, _ in again.partition.states("1m", KEY, lambda times: times)]
    assert T0 // 1000 + MINUTE // 1000 not in held
    fetched = trade(7, T0 + MINUTE + 1)._replace(backfilled=True)
    assert not [window for window in again.apply([fetched]).updated if window[0] == "1m"]
    assert [time for time, _ in again.partition.states("1m", KEY, lambda times: times)] == held


def test_what_only_the_clock_closed_is_kept():
    windows = Windows(0)
    windows.opened("1m", KEY, 0)
    assert windows.close(KEY, 60_000) == [("1m", KEY, 0)]
    windows.expire(lambda key: 59_999)
    assert windows.expire(lambda key: 60_000) == []
    assert windows.expire(lambda key: 60_000) == [("1m", KEY, 0)]


def test_states_lists_windows_ascending():
    worker = Worker()
    for minute in (0, 1, 3):
        worker.apply([trade(minute, T0 + minute * MINUTE)])
    found = worker.partition.states("1m", KEY, lambda times: times[1:])
    assert [time for time, _ in found] == [T0 // 1000 + 60_000, T0 // 1000 + 180_000]
    assert worker.partition.states("1m", "kraken:X/Y", lambda times: times) == []


def test_decimals_have_18_digits_and_round_half_even():
    worker = Worker()
    # 0.5e-18 rounds to 0, 1.5e-18 to 2e-18
    worker.apply([trade(0, T0, "0.5", "0.000000000000000001")])
    half = to_candle(state(worker), KEY, "BTCUSDT", "1m", T0 // 1000)
    assert half.quote_volume == 0
    worker.apply([trade(1, T0, "0.5", "0.000000000000000002")])
    candle = to_candle(state(worker), KEY, "BTCUSDT", "1m", T0 // 1000)
    assert candle.quote_volume == Decimal("2E-18")
    assert candle.vwap == Decimal("0.5")
    assert candle.vwap.as_tuple().exponent == -18
    assert (candle.exchange, candle.canonical_symbol, candle.symbol) == ("binance", "BTC/USDT", "BTCUSDT")
    assert candle.close_time == T0 // 1000 + TIMEFRAMES["1m"] - 1


def test_an_entry_of_another_layout_is_refused():
    worker = Worker()
    worker.apply([trade(0, T0)])
    data = dumps_state(state(worker))
    with pytest.raises(ValueError, match="layout 9"):
        loads_state(b"\x09" + data[1:])
    with pytest.raises(ValueError, match="layout 9"):
        loads_progress(b"\x09" + dumps_progress(KeyProgress(1, 2))[1:])


def test_an_empty_batch_changes_nothing():
    changes = Worker().apply([])
    assert (changes.updated, changes.replayed, len(changes.late)) == ({}, 0, 0)


def test_a_window_that_was_dropped_stays_so_though_an_older_one_is_there_again():
    """A crash amid a flush keeps some of what it drops."""
    windows = Windows(1)
    for open_time in (0, 120_000):
        windows.closed("1m", KEY, open_time)
    assert windows.expired("1m", KEY, 60_000, 600_000)
    assert not windows.expired("1m", KEY, 180_000, 600_000)
