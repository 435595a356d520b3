"""Pages of entries: however a table is spread and cut, its pages give each entry once, in order."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch import BatchApp, BatchTable, batch_app_options
from k2stream.batch._key_text import Bound, order, place_of
from k2stream.batch._parts import TableEntry, TablePart, cut, merge, rank
from k2stream.batch._queries import KeyRange
from k2stream.batch._served import ServedTable

APP = BatchApp("unit", **batch_app_options("127.0.0.1:9"), web_enabled=False)
CONTENTS = st.dictionaries(
    st.tuples(st.one_of(st.sampled_from("abcdefgh"), st.integers(0, 12)), st.integers(0, 3)), st.integers()
)


def table_of(contents):
    table = BatchTable(APP, name="t", partitions=4)
    for (key, partition), value in contents.items():
        table.put(partition, key, value)
    return table


def pairs(part):
    return [(place, entry.partition, msgspec.json.decode(entry.value))
            for place, entry in zip(part.places, part.entries, strict=True)]  # fmt: skip


def sent(part):
    """As another worker gets it."""
    return msgspec.json.decode(msgspec.json.encode(part), type=TablePart)


@given(CONTENTS, st.integers(1, 5), st.sets(st.integers(0, 3)), st.sampled_from([1, 20, 1 << 20]))
async def test_pages_over_workers_give_each_entry_once_in_order(contents, limit, mine, most_bytes):
    table = table_of(contents)
    served, got, after = ServedTable(table), [], None
    for _ in range(len(contents) + 2):
        wanted = KeyRange(limit=limit, after=after)
        here = await served.range(table, mine, wanted)
        there = sent(await served.range(table, set(range(4)) - mine, wanted))
        page = merge([here, there], limit, most_bytes)
        assert len(page.entries) <= limit
        got += pairs(page)
        if page.upto is None:
            break
        after = rank(msgspec.json.decode(msgspec.json.encode(page.upto)))
    expected = [(key, partition, value) for (key, partition), value in contents.items()]
    assert got == sorted(expected, key=lambda row: rank(row[:2]))


@given(CONTENTS, st.one_of(st.sampled_from("abcdefgh"), st.integers(0, 12)), st.integers(0, 12))
async def test_a_range_has_what_lies_within_its_bounds(contents, first, last):
    start, end = Bound.read(str(first)), Bound.read(str(last))
    table = table_of(contents)
    part = await ServedTable(table).range(table, range(4), KeyRange(start=start, end=end))

    def within(key):
        if isinstance(key, str):
            return str(first) <= key < str(last)
        return order(first) <= order(key) < order(last)

    expected = {(key, partition) for key, partition in contents if within(key)}
    assert {row[:2] for row in pairs(part)} == expected


def entry(key, size=1):
    return place_of(key), TableEntry(key=key, partition=0, value=msgspec.Raw(b"1" * size))


def test_a_part_ends_after_its_size_but_has_one_entry():
    rows = [entry("a", 9), entry("b", 9), entry("c", 9)]
    assert cut(rows, 5, None, most_bytes=18).upto == ("b", 0)
    assert [item.key for item in cut(rows, 5, None, most_bytes=1).entries] == ["a"]
    assert cut(rows, 3, None, most_bytes=27).upto is None


def test_parts_are_one_only_as_far_as_all_are_complete():
    first = cut([entry("a"), entry("d")], 2, ("d", 0))
    second = cut([entry("b"), entry("c"), entry("e")], 3, ("c", 0))
    merged = merge([first, second], 5)
    assert (merged.places, merged.upto) == (["a", "b", "c"], ("c", 0))


async def test_what_is_deleted_meanwhile_is_left_out_and_the_page_goes_on():
    table = table_of({(key, 0): 1 for key in "abcd"})

    def row(key, value):
        table.delete(0, "b")  # as an agent would, while others have their turn
        return [key, value]

    part = await ServedTable(table, row).range(table, [0], KeyRange(limit=3))
    assert pairs(part) == [("a", 0, ["a", 1]), ("c", 0, ["c", 1])]
    assert part.upto == ("c", 0)
