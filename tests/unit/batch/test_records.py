from types import SimpleNamespace

from faust.types import TP

from k2stream.batch import RecordBatch

TP0 = TP("t", 0)


def record(offset, key=b"k", value=b"v"):
    return SimpleNamespace(offset=offset, timestamp=1_700_000_000_000 + offset, key=key, value=value)


def test_columns_of_contiguous_records():
    batch = RecordBatch.from_records(TP0, [record(7), record(8), record(9)])
    assert batch.offsets.tolist() == [7, 8, 9]
    assert batch.timestamps.tolist() == [1_700_000_000_007, 1_700_000_000_008, 1_700_000_000_009]
    assert (batch.first_offset, batch.last_offset, len(batch)) == (7, 9, 3)
    assert isinstance(batch.first_offset, int)


def test_offsets_lost_to_compaction_stay_lost():
    batch = RecordBatch.from_records(TP0, [record(3), record(9), record(10)])
    assert batch.offsets.tolist() == [3, 9, 10]


def test_missing_keys_and_values_are_none():
    batch = RecordBatch.from_records(TP0, [record(1, key=None), record(2, value=None)])
    assert batch.keys == [None, b"k"]
    assert batch.values == [b"v", None]
