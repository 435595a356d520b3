"""The columnar candles against one record at a time: any batching, disorder, lateness, replay and crash."""

from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from k2stream.candles.codec import KeyProgress, dumps_progress, dumps_state, loads_progress, loads_state
from k2stream.candles.fold import candles_of
from k2stream.candles.state import merge, to_candle
from k2stream.model.candle import TIMEFRAMES
from tests.unit.candles import reference
from tests.unit.candles.reference import Trade
from tests.unit.candles.stores import GRACE, RAW_PARTITION, Worker, columns

KEYS = ("binance:BTC/USDT", "kraken:BTC/USD", "coinbase:ETH/USD")
START = 1_700_006_340_000_000  # one minute before an hour

small = st.integers(1, 10**12).map(lambda n: Decimal(n).scaleb(-8))
huge = st.integers(1, 10**38 - 1).map(lambda n: Decimal(n).scaleb(-18))


@st.composite
def streams(draw, amounts=small, keys=KEYS, size=40, backfilled=False):
    """Trades in raw order: time wanders, with ties, steps back and jumps over whole windows.

    `backfilled`: some were fetched later. Some are dated ahead of their receipt, by seconds to minutes.
    """
    trades, times = [], dict.fromkeys(keys, START)
    for raw_offset in range(draw(st.integers(1, size))):
        key = draw(st.sampled_from(keys))
        step = draw(
            st.sampled_from((0, 0, 1, 500_000, 4_000_000, -300_000, -8_000_000, 30_000_000, 61_000_000))
            | st.integers(-70_000_000, 400_000_000)
        )
        time = max(times[key] + step, 0)
        times[key] = time
        later = backfilled and draw(st.booleans())
        if later:
            time = max(time - draw(st.sampled_from((0, 60_000_000, 130_000_000, 250_000_000))), 0)
        trades.append(
            Trade(
                key,
                time,
                draw(st.integers(0, 3)),
                raw_offset,
                draw(amounts),
                draw(amounts),
                draw(st.booleans()),
                draw(st.integers(1, 5)),
                time + draw(st.sampled_from((1000, 0, -999_999, -1_000_001, -20_000_000, -400_000_000))),
                later,
            )
        )
    return trades


def chunks(draw_cuts, trades):
    cuts = sorted({min(cut, len(trades)) for cut in draw_cuts} | {0, len(trades)})
    return [trades[a:b] for a, b in pairwise(cuts) if b > a]


cuts = st.lists(st.integers(0, 40), max_size=10)


def expected(trades):
    windows, final, late = reference.run(trades, GRACE)
    candles = {
        window: reference.candle(window, inside, window in final, "X", RAW_PARTITION)
        for window, inside in windows.items()
    }
    return candles, late


def check(candles):
    for candle in candles:
        assert candle.low <= candle.open <= candle.high
        assert candle.low <= candle.close <= candle.high
        assert candle.low <= candle.vwap <= candle.high


@given(streams(backfilled=True) | streams(amounts=huge), cuts)
def test_any_batching_gives_the_reference(trades, at):
    worker, late = Worker(), []
    for chunk in chunks(at, trades):
        rows = worker.apply(chunk).late.tolist()
        late += [(chunk[row].key, chunk[row].raw_offset) for row in rows]
    candles, expected_late = expected(trades)
    assert worker.candles() == candles
    assert sorted(late) == sorted(expected_late)
    check(candles.values())


@given(streams(), cuts)
def test_published_is_what_the_tables_end_with_and_final_comes_last(trades, at):
    worker = Worker()
    for chunk in chunks(at, trades):
        worker.apply(chunk)
    for window, state in dict(worker.published).items():
        timeframe, key, open_time = window
        assert worker.stores[timeframe].get(key, open_time) == state
    finals = [window for window, state in worker.published if state.final]
    assert len(finals) == len(set(finals))
    revisions = {}
    for window, state in worker.published:
        assert state.revision > revisions.get(window, 0)
        revisions[window] = state.revision


@given(streams(), cuts, st.data())
def test_replays_of_any_suffix_change_nothing(trades, at, data):
    worker = Worker()
    for chunk in chunks(at, trades):
        worker.apply(chunk)
        again = data.draw(st.integers(0, len(chunk)))
        before = worker.candles()
        changes = worker.apply(chunk[again:]) if again < len(chunk) else None
        assert worker.candles() == before
        assert changes is None or changes.replayed == len(chunk) - again
        assert changes is None or not changes.updated
    assert worker.candles() == expected(trades)[0]


@given(streams(), st.data())
def test_repeats_inside_one_batch_are_dropped(trades, data):
    repeated = []
    for at, trade in enumerate(trades):
        repeated.append(trade)
        back = data.draw(st.integers(0, at))
        repeated += trades[back : at + 1] if data.draw(st.booleans()) else []
    worker = Worker()
    changes = worker.apply(repeated)
    assert changes.replayed == len(repeated) - len(trades)
    assert worker.candles() == expected(trades)[0]


@settings(max_examples=3 * settings().max_examples)
@given(streams(backfilled=True), st.integers(1, 8), st.data())
def test_a_crash_between_any_changelog_entries_changes_nothing(trades, size, data):
    """kill -9: any subset of the last flush's entries survives, then a replay from the last commit."""
    worker, position, committed = Worker(), 0, 0
    crashes = 0
    late = set()
    while position < len(trades):
        chunk = trades[position : position + size]
        rows = worker.apply(chunk).late.tolist()
        late |= {(chunk[row].key, chunk[row].raw_offset) for row in rows}
        position += len(chunk)
        event = data.draw(st.sampled_from(("nothing", "commit", "uncommitted", "crash")))
        if event == "crash" and crashes < 4:
            crashes += 1
            # Outputs of the batch may have left or not, the changelog has no, some or all of its entries.
            survives = data.draw(st.sampled_from(("none", "some", "all")))
            flips = {"none": lambda: False, "all": lambda: True, "some": lambda: data.draw(st.booleans())}
            worker.flush(flips[survives], data.draw(st.booleans()))
            worker, position = Worker(worker.durable()), committed
        elif event == "uncommitted":
            worker.flush()
        elif event == "commit":
            worker.flush()
            committed = position
    candles, expected_late = expected(trades)
    assert worker.candles() == candles
    assert late == set(expected_late)


@settings(max_examples=2 * settings().max_examples)
@given(streams(keys=KEYS[:1]), st.integers(1, 6), st.data())
def test_retention_survives_crashes(trades, size, data):
    """Every final candle published, and every window retained, is the reference's, whatever was dropped."""
    worker, position, committed = Worker(retention=1), 0, 0
    crashes, published = 0, worker.published
    while position < len(trades):
        worker.apply(trades[position : position + size])
        position += size
        if crashes < 4 and data.draw(st.booleans()):
            crashes += 1
            worker.flush(lambda: data.draw(st.booleans()), data.draw(st.booleans()))
            worker, position = Worker(worker.durable(), retention=1), committed
            worker.published = published
        else:
            worker.flush()
            committed = position
    worker.flush()
    worker.flush()
    candles, _ = expected(trades)
    for (timeframe, key, open_time), state in published:
        if state.final:
            candle = to_candle(state, key, "X", timeframe, open_time)
            assert candle == candles[timeframe, key, open_time]
    kept = worker.candles()
    assert kept.items() <= candles.items()
    for timeframe in TIMEFRAMES:
        closed = sorted(w for w, c in candles.items() if w[0] == timeframe and c.final)
        assert sorted(w for w, c in kept.items() if w[0] == timeframe and c.final) == closed[-1:]
        assert {w for w, c in candles.items() if not c.final} <= kept.keys()


@settings(max_examples=2 * settings().max_examples)
@given(streams(keys=KEYS[:1], backfilled=True), st.integers(1, 6), st.data())
def test_what_is_fetched_later_never_makes_a_candle_of_a_part(trades, size, data):
    """Windows past the retention are left alone; whatever is published or kept has all of its trades."""
    worker, position, committed = Worker(retention=1), 0, 0
    crashes, published = 0, worker.published
    while position < len(trades):
        worker.apply(trades[position : position + size])
        position += size
        if crashes < 4 and data.draw(st.booleans()):
            crashes += 1
            worker.flush(lambda: data.draw(st.booleans()), data.draw(st.booleans()))
            worker, position = Worker(worker.durable(), retention=1), committed
            worker.published = published
        else:
            worker.flush()
            committed = position
    windows, _, _ = reference.run(trades, GRACE)
    for window, state in published:
        assert state.records == sum(t.raw_offset <= state.raw_offset for t in windows[window])
    assert worker.candles().items() <= expected(trades)[0].items()


@given(streams(), st.data())
def test_the_clock_never_decides_the_content(trades, data):
    worker, now = Worker(), START
    for trade in trades:
        now += data.draw(st.sampled_from((0, 1_000_000, 120_000_000)))
        worker.apply([trade], now)
        if data.draw(st.booleans()):
            worker.close_silent(now)
    content = {w: c._replace(final=False, revision=0) for w, c in worker.candles().items()}
    assert content == {w: c._replace(final=False, revision=0) for w, c in expected(trades)[0].items()}
    assert all(c.final for w, c in worker.candles().items() if expected(trades)[0][w].final)


@given(streams(), st.randoms())
def test_candles_of_ignores_the_order_of_its_input(trades, random):
    shuffled = random.sample(trades, len(trades))
    native = dict.fromkeys(KEYS, "X")
    for timeframe in TIMEFRAMES:
        assert candles_of(columns(shuffled), timeframe, native) == candles_of(
            columns(trades), timeframe, native
        )


@given(streams())
def test_sixty_minutes_are_an_hour(trades):
    worker = Worker()
    worker.apply(trades)
    hours = {}
    for (timeframe, key, open_time), state in _states(worker):
        if timeframe == "1m":
            hour = (key, open_time - open_time % 3_600_000)
            hours[hour] = merge(hours[hour], state) if hour in hours else state
    for (timeframe, key, open_time), state in _states(worker):
        if timeframe == "1h":
            folded = hours[key, open_time]
            assert (folded.open, folded.high, folded.low, folded.close) == (
                state.open,
                state.high,
                state.low,
                state.close,
            )
            assert (folded.volume, folded.quote, folded.records) == (
                state.volume,
                state.quote,
                state.records,
            )


@given(streams(amounts=huge))
def test_changelog_bytes_give_the_state_back(trades):
    worker = Worker()
    worker.apply(trades)
    for _, state in _states(worker):
        assert loads_state(dumps_state(state)) == state
    for key in KEYS:
        progress = worker.progress.get(key) or KeyProgress(0, 0)
        assert loads_progress(dumps_progress(progress)) == progress


def _states(worker):
    return [((tf, k, t), state) for tf, store in worker.stores.items() for k, t, state in store.windows()]
