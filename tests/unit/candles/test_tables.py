"""The candle tables as Faust tables."""

import msgspec

from k2stream.batch import BatchApp, batch_app_options
from k2stream.candles.codec import KeyProgress, dumps_state
from k2stream.candles.state import State
from k2stream.model.candle import TIMEFRAMES
from k2stream.tables import ohlcv

KEY = "binance:BTC/USDT"
OPEN = 1_700_006_400_000
STATE = State(1, 2, 1, 2, (3, 0, 7), (4, 0, 9), 5, 6, 5, 6, 2, 2, 8, 0, 9)


def declared():
    app = BatchApp("k2-candles", **batch_app_options("127.0.0.1:1"))
    return app, ohlcv.declare(app, 4)


def test_six_tumbling_tables_with_changelogs_of_their_own():
    app, tables = declared()
    assert sorted(app.tables) == sorted([*(f"ohlcv_{name}" for name in TIMEFRAMES), "candle_progress"])
    for timeframe, table in tables.windows.items():
        assert table.window.size == TIMEFRAMES[timeframe] / 1000
        assert table.partitions == 4
        topic = table.changelog_topic
        assert topic.get_topic_name() == f"k2-candles-ohlcv_{timeframe}-changelog"
        assert (topic.compacting, topic.deleting) == (True, None)


def test_window_keys_are_those_of_fausts_tumbling_windows():
    _, tables = declared()
    for timeframe, store in tables.stores(2).items():
        table, open_time = tables.windows[timeframe], OPEN - OPEN % TIMEFRAMES[timeframe]
        store.put(KEY, open_time, STATE)
        ((key, state),) = table.partition_items(2)
        assert key == (KEY, table.window.current(open_time / 1000 + 1))
        assert state is store.get(KEY, open_time)
        assert list(store.windows()) == [(KEY, open_time, STATE)]
        store.delete(KEY, open_time)
        assert store.get(KEY, open_time) is None


def test_a_flush_takes_every_table_and_writes_progress_last():
    app, tables = declared()
    all_tables = [*tables.windows.values(), tables.progress]
    for table in all_tables:
        app.producer.register_table(table)
    assert [id(table) for table in app.producer._tables] == [id(table) for table in all_tables]
    tables.progress_store(1).put(KEY, KeyProgress(9, 4))
    for store in tables.stores(1).values():
        store.put(KEY, 0, STATE)
    assert all(table.flush_stage < tables.progress.flush_stage for table in tables.windows.values())
    for table in all_tables:
        (changes,) = table.take_changes()
        other = declared()[1]
        again = next(t for t in [*other.windows.values(), other.progress] if t.name == table.name)
        again.apply_changelog(1, changes.keys, changes.values, 5)
        assert dict(again.partition_items(1)) == dict(table.partition_items(1))


def test_an_entry_of_a_zombie_does_not_replace_a_newer_one():
    _, tables = declared()
    table = tables.windows["1m"]
    tables.stores(0)["1m"].put(KEY, 0, STATE)
    tables.progress_store(0).put(KEY, KeyProgress(9, 4))
    (new,), (progress,) = table.take_changes(), tables.progress.take_changes()
    tables.stores(0)["1m"].put(KEY, 0, State(1, 2, 1, 2, (3, 0, 7), (4, 0, 8), 5, 6, 5, 6, 2, 2, 8, 0, 8))
    tables.progress_store(0).put(KEY, KeyProgress(8, 4))
    (old,), (behind,) = table.take_changes(), tables.progress.take_changes()
    table.data.partitions.clear()
    tables.progress.data.partitions.clear()
    table.apply_changelog(0, new.keys + old.keys, new.values + old.values, 1)
    tables.progress.apply_changelog(0, progress.keys + behind.keys, progress.values + behind.values, 1)
    assert tables.stores(0)["1m"].get(KEY, 0).raw_offset == 9
    assert tables.progress_store(0).get(KEY) == KeyProgress(9, 4)


def test_an_open_state_does_not_replace_the_final_one_of_the_same_record():
    """A zombie had not closed the window yet; the log may hold either entry first."""
    final = msgspec.structs.replace(STATE, final=True)
    for order in ([final, STATE], [STATE, final]):
        _, tables = declared()
        table = tables.windows["1m"]
        key = table.key_codec()[0]((KEY, (0.0, 59.9)))
        table.apply_changelog(0, [key] * 2, list(map(dumps_state, order)), 1)
        assert [state.final for *_, state in tables.stores(0)["1m"].windows()] == [True]


def test_a_retention_that_is_raised_remembers_the_smaller_one():
    tables, later = declared()[1], declared()[1]
    assert tables.least_retention(0, 3) == 3
    tables.progress_store(0).put(KEY, KeyProgress(9, 4))
    (changes,) = tables.progress.take_changes()
    later.progress.apply_changelog(0, changes.keys, changes.values, 5)
    assert dict(later.progress.partition_items(0)) == {KEY: KeyProgress(9, 4)}
    assert later.least_retention(0, 10) == 3
    assert later.least_retention(1, 10) == 10  # of a partition that held nothing before


def test_a_retention_that_an_earlier_release_did_not_note_is_its_default():
    tables = declared()[1]
    tables.progress_store(0).put(KEY, KeyProgress(9, 4))
    assert tables.least_retention(0, 1000) == 500
    assert tables.least_retention(0, 20) == 20
