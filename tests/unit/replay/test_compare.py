"""What counts as a difference."""

import re
from datetime import timedelta

import pyarrow as pa
from msgspec.structs import replace

from k2stream.candles.codec import KeyProgress
from k2stream.candles.state import State
from k2stream.clickhouse.migrate import FOLDER, statements
from k2stream.model.comparison import Comparison
from k2stream.replay.compare import KEY, entries, rows, same_window
from k2stream.replay.compare_clickhouse import LIFE
from k2stream.replay.tables import newest

STATE = State(1, 1, 1, 1, (0, 0, 0), (0, 0, 0), 1, 1, 1, 1, 1, 1, 0, 0, 7)


def table(*found):
    names = ("raw_offset", "price", "tags")
    made = pa.table({name: pa.array([row[at] for row in found]) for at, name in enumerate(names)})
    return made.append_column(KEY, made["raw_offset"])


def test_rows_are_compared_column_by_column():
    fresh = table((1, "a", ["x"]), (2, None, []), (3, "c", ["y"]), (4, "d", []), (5, "e", []))
    live = table((9, "z", []), (5, "e", []), (5, "e", []), (3, "c", ["n"]), (2, "b", []), (1, "a", ["x"]))
    layer = Comparison("some")
    rows(layer, fresh, live, lambda key: f"offset {key}")
    assert layer.compared == 4
    assert layer.total == 5
    assert list(map(str, layer.differences)) == [
        "some: offset 4: row is missing, expected present",
        "some: offset 9: row is present, expected absent",
        "some: offset 5: rows is more often, expected once",
        "some: offset 3: tags is ['n'], expected ['y']",
        "some: offset 2: price is b, expected None",
    ]


def test_equal_rows_are_equal_in_any_order():
    layer = Comparison("some")
    one, other = (1, "a", ["x"]), (2, None, [])
    rows(layer, table(one, other), table(other, one), str)
    assert (layer.compared, layer.total) == (2, 0)


def test_the_clock_may_close_a_window_and_nothing_else():
    closed = replace(STATE, final=True)
    assert same_window(STATE, STATE)
    assert same_window(STATE, closed)
    assert not same_window(closed, STATE)
    assert not same_window(STATE, replace(closed, volume=2))


def compared(rebuilt, found, *, behind=False, needed=lambda key: True):
    layer = Comparison("table")
    entries(
        layer,
        rebuilt,
        found,
        moved=lambda key, held: held.raw_offset >= 10,
        behind=lambda held, value: behind and (held is None or held.raw_offset < value.raw_offset),
        needed=needed,
    )
    return layer.compared, layer.newer, [str(item).removeprefix("table: ") for item in layer.differences]


def test_entries_are_compared_up_to_what_the_replay_covers():
    one, two, beyond = KeyProgress(5, 1), KeyProgress(5, 2), KeyProgress(10, 3)
    assert compared({"a": one, "b": one}, {"a": one, "b": two, "c": two}) == (
        2, 0, ["b: newest is 2, expected 1", "c: row is present, expected absent"],
    )  # fmt: skip
    assert compared({"a": one}, {"a": beyond, "c": beyond}) == (0, 2, [])
    assert compared({"a": one}, {}) == (0, 0, ["a: row is missing, expected present"])
    assert compared({"a": one}, {}, needed=lambda key: False) == (0, 0, [])
    assert compared({"a": one, "b": one}, {"b": KeyProgress(4, 1)}, behind=True) == (0, 2, [])
    assert compared({"b": one}, {"b": KeyProgress(4, 1)}) == (
        1, 0, ["b: raw_offset is 4, expected 5"],
    )  # fmt: skip


def test_a_table_must_hold_the_newest_windows_of_each_key():
    windows = [("a", 1), ("a", 3), ("a", 2), ("b", 1)]
    assert newest(windows, 2) == {("a", 3), ("a", 2), ("b", 1)}


def test_rows_expire_as_the_schemas_say():
    found = {}
    for path in sorted(FOLDER.glob("[0-9]*.sql")):
        for statement in statements(path.read_text(), "db"):
            ttl = re.search(r"TTL toDateTime\((\w+)\) \+ INTERVAL (\d+) DAY", statement)
            if ttl:
                layer = re.search(r"db\.(bronze|silver)_trades", statement)
                assert layer is not None
                found[layer[1]] = (ttl[1], timedelta(days=int(ttl[2])))
    assert found == LIFE
