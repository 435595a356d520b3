"""A table as it stood at a time, and what compaction may have taken of it."""

import numpy as np
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch import BatchTable, Reach, RecordBatch, restore, uncertainties


def batch(*entries):
    """Of (offset, time, key, value)."""
    offsets, times, keys, values = zip(*entries, strict=True)
    return RecordBatch(TP("changelog", 0), np.array(offsets), np.array(times), list(keys), list(values))


def contents(table):
    return dict(table.partition_items(0))


def test_later_entries_are_left_out(app):
    table, reach = BatchTable(app, name="t", partitions=1), Reach(20)
    entries = batch(
        (0, 10, b'"a"', b"1"), (1, 20, b'"b"', b"2"), (2, 21, b'"a"', b"3"), (3, 22, b'"b"', None)
    )
    assert restore(table, entries, reach) == 2
    assert contents(table) == {"a": 1, "b": 2}
    assert (reach.earliest, reach.removed, reach.doubtful) == (10, 0, [])


def test_without_a_time_everything_counts(app):
    table = BatchTable(app, name="t", partitions=1)
    assert restore(table, batch((0, 10, b'"a"', b"1"), (1, 99, b'"a"', b"3")), None) == 2
    assert contents(table) == {"a": 3}


def test_a_key_that_changed_later_is_doubtful_where_compaction_was():
    reach = Reach(20)
    reach.take(batch((1, 10, b"a", b"1"), (4, 30, b"b", b"2")))
    assert (reach.removed, reach.doubtful) == (3, [b"b"])


def test_holes_of_later_entries_take_nothing():
    reach = Reach(20)
    reach.take(batch((0, 10, b"a", b"1"), (1, 30, b"c", b"2"), (5, 31, b"b", b"2")))
    assert (reach.removed, reach.doubtful) == (0, [])


def test_a_key_that_comes_twice_ends_what_was_compacted():
    reach = Reach(20)
    reach.take(batch((3, 10, b"a", b"1"), (4, 11, b"a", b"2")))
    reach.take(batch((5, 30, b"new", b"1")))
    assert reach.removed == 3
    assert reach.doubtful == []


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 7),
)
def test_what_a_compacted_log_tells_is_right_and_what_it_does_not_is_doubtful(changes, until, cleaned, cut):
    log = [(at, at, key.encode(), value) for at, (key, value) in enumerate(changes)]
    last = {entry[2]: entry[0] for entry in log[:cleaned]}
    kept = [entry for entry in log if entry[0] >= cleaned or last[entry[2]] == entry[0]]
    reach, told = Reach(until), {}
    for start in range(0, len(kept), cut):
        part = batch(*kept[start : start + cut])
        for wanted, key, value in zip(reach.take(part), part.keys, part.values, strict=True):
            if wanted:
                told[key] = value
    truth = {key: value for at, _, key, value in log if at <= until}
    assert all(truth[key] == value for key, value in told.items())
    assert truth.keys() - told.keys() <= set(reach.doubtful)


def test_a_copy_of_a_table_is_empty_and_reads_as_the_table_does(app):
    def supersedes(new: str, old: str) -> bool:
        return new >= old

    table = BatchTable(
        app,
        name="t",
        partitions=2,
        dumps_key=str.encode,
        loads_key=bytes.decode,
        dumps_value=str.encode,
        loads_value=bytes.decode,
        supersedes=supersedes,
        source="s",
    )
    table.put(0, "a", "1")
    copy = table.clone()
    assert contents(copy) == {}
    copy.apply_changelog(0, [b"b"], [b"2"], 0)
    assert (contents(copy), contents(table)) == ({"b": "2"}, {"a": "1"})
    assert (copy.source, copy.partitions, copy._supersedes) == ("s", 2, supersedes)
    assert copy.changelog_topic_name == table.changelog_topic_name


def test_nothing_is_uncertain_of_a_whole_log_and_names_are_chosen():
    whole = Reach(20)
    whole.take(batch((0, 10, b"a", b"1"), (1, 30, b"b", b"2")))
    assert uncertainties([whole], bytes.decode) == []
    assert uncertainties([Reach(20)], bytes.decode) == ["the changelog is empty"]
    early = Reach(5)
    early.take(batch((0, 10, b"a", b"1")))
    (note,) = uncertainties([early], bytes.decode)
    assert note.endswith("after 1970-01-01 00:00:00.005: the table was empty")
    cut = Reach(20)
    cut.take(batch((1, 10, b"a", b"1"), (4, 30, b"b", b"2"), (5, 30, b"c", b"2")))
    (note,) = uncertainties([whole, cut], lambda key: key.decode() if key == b"c" else None)
    assert note.endswith("what they held then: c")
    (note,) = uncertainties([whole, cut], lambda key: None)
    assert note.startswith("compaction has removed entries")
