"""Which files are merged, which snapshots go, which files are orphans."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from k2stream.iceberg.maintenance.plan import SMALL, Commit, File, bins, expirable, orphans

TARGET, ROWS = 100, 1000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def files(sizes, partition=("a",), rows=1):
    return [File(f"{partition}{n}", partition, n, size, rows) for n, size in enumerate(sizes)]


def paths(found):
    return [[file.path for file in one] for one in found]


def test_small_files_are_merged_oldest_first_until_a_bin_is_full():
    found = bins(files([40, 40, 40, 10, 10]), TARGET, ROWS)
    assert [[file.bytes for file in one] for one in found] == [[40, 40, 40], [10, 10]]
    assert paths(bins(reversed(files([40, 40])), TARGET, ROWS)) == [["('a',)0", "('a',)1"]]


def test_a_single_small_file_and_large_ones_stay():
    assert bins(files([10]), TARGET, ROWS) == []
    assert bins(files([75, 100, 300, 10]), TARGET, ROWS) == []


def test_partitions_are_not_mixed():
    assert bins(files([10], ("a",)) + files([10], ("b",)), TARGET, ROWS) == []
    assert len(bins(files([10, 10], ("a",)) + files([10, 10], ("b",)), TARGET, ROWS)) == 2


def test_many_rows_make_a_file_large_and_a_bin_full():
    assert bins(files([1, 1], rows=ROWS), TARGET, ROWS) == []
    assert [len(one) for one in bins(files([1] * 5, rows=ROWS // 2), TARGET, ROWS)] == [2, 2]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 150), st.integers(1, 1200)), max_size=30),
    st.floats(0.3, 1.0),
)
def test_merging_again_and_again_ends_with_a_small_file_a_partition(given_files, shrink):
    """However much smaller a merged file is than its parts together."""
    left = {str(n): File(str(n), (p,), n, size, rows) for n, (p, size, rows) in enumerate(given_files)}
    total = sum(file.rows for file in left.values())
    while found := bins(left.values(), TARGET, ROWS):
        for one in found:
            for file in one:
                del left[file.path]
            merged = File(
                one[0].path + "+",
                one[0].partition,
                one[0].oldest,
                int(shrink * sum(file.bytes for file in one)),
                sum(file.rows for file in one),
            )
            left[merged.path] = merged
            assert merged.rows < 2 * ROWS or len(one) == 1
    small = [file.partition for file in left.values() if file.bytes < SMALL * TARGET and file.rows < ROWS]
    assert len(small) == len(set(small))
    assert sum(file.rows for file in left.values()) == total


def test_old_snapshots_go_and_the_one_that_tells_the_positions_stays():
    chain = [
        Commit(1, None, 10, True),
        Commit(2, 1, 20, True),
        Commit(3, 2, 30, False),
        Commit(4, 3, 40, False),
    ]
    assert expirable(chain, {4}, 100) == [1]
    assert expirable([*chain, Commit(5, 4, 50, True)], {5}, 100) == [1, 2, 3, 4]
    assert expirable([*chain, Commit(5, 4, 50, True)], {5}, 31) == [1, 2]


def test_a_snapshot_is_as_old_as_the_commit_that_replaced_it():
    """Where nothing was written for long, one that readers had begun with a moment ago expired."""
    idle = [Commit(1, None, 10, True), Commit(2, 1, 20, True)]
    compacted = [*idle, Commit(3, 2, 900, True)]
    assert expirable(compacted, {3}, 500) == [1]
    assert expirable(compacted, {3}, 901) == [1, 2]
    rolled_back = [*idle, Commit(3, 1, 900, True)]  # 2 was given up, 1 was current until 3
    assert expirable(rolled_back, {3}, 500) == [2]


def test_snapshots_of_branches_and_tags_stay():
    chain = [Commit(1, None, 10, True), Commit(2, 1, 20, True), Commit(3, 2, 30, True)]
    assert expirable(chain, {3, 1}, 100) == [2]


def test_a_table_without_positions_keeps_only_its_heads():
    assert expirable([Commit(1, None, 10, False), Commit(2, 1, 20, False)], {2}, 100) == [1]
    assert expirable([], set(), 100) == []


def test_orphans_are_old_and_not_needed():
    listed = {"old": NOW - timedelta(days=2), "young": NOW, "needed": NOW - timedelta(days=2)}
    assert orphans(listed, {"needed"}, NOW - timedelta(days=1)) == ["old"]
