from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2stream.batch._building import RecordTooLarge, build, extend


def test_records_come_back_as_given(new_builder, decode):
    headers = [("source", b"x")]
    (built,) = build(new_builder(900_000), 900_000, [b"a", None], [b"1", None], [5, 9], headers)
    assert built.records == 2
    assert [(r.offset, r.key, r.value, r.timestamp, r.headers) for r in decode(built.builder)] == [
        (0, b"a", b"1", 5, headers),
        (1, None, None, 9, headers),
    ]


@pytest.mark.parametrize("times", [7, np.int64(7), [7, 7], np.array([7, 7])])
def test_timestamps_may_be_one_or_one_each(new_builder, decode, times):
    (built,) = build(new_builder(1000), 1000, [b"a", b"b"], [b"1", b"2"], times)
    assert [r.timestamp for r in decode(built.builder)] == [7, 7]


def test_no_records_make_no_batch(new_builder):
    assert build(new_builder(1000), 1000, [], [], 0) == []


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=100), st.integers(500, 2000))
def test_batches_keep_order_and_limit(values, limit):
    from aiokafka.producer.message_accumulator import BatchBuilder
    from aiokafka.record.memory_records import MemoryRecords

    built = build(lambda: BatchBuilder(limit, 0), limit, [None] * len(values), values, 1)
    builders: list[Any] = [batch.builder for batch in built]
    buffers = [bytes(builder._build()) for builder in builders]
    assert all(len(buffer) <= limit for buffer in buffers)
    records = [record for buffer in buffers for record in MemoryRecords(buffer).next_batch()]
    assert [record.value for record in records] == values
    assert sum(batch.records for batch in built) == len(values)


def test_a_record_above_the_limit_is_refused(new_builder):
    with pytest.raises(RecordTooLarge, match="the limit is 1000"):
        build(new_builder(1000), 1000, [b"a", b"b"], [b"1", b"x" * 2000], 1)


@pytest.mark.parametrize(("keys", "times"), [([b"a"], 1), ([b"a", b"b"], [1])])
def test_columns_of_different_length_are_refused(new_builder, keys, times):
    with pytest.raises(ValueError, match="lengths differ"):
        build(new_builder(1000), 1000, keys, [b"1", b"2"], times)


@given(
    st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=20), min_size=1, max_size=10),
    st.integers(300, 3000),
)
def test_extended_batches_hold_all_that_they_took_within_the_limit(parts, limit):
    from aiokafka.producer.message_accumulator import BatchBuilder
    from aiokafka.record.memory_records import MemoryRecords

    taken = [b"first"]
    (built,) = build(lambda: BatchBuilder(limit, 0), limit, [None], taken, 1)
    builder: Any = built.builder
    for number, values in enumerate(parts):
        if extend(builder, limit, values, values, 1 << number * 6):
            taken += values
    assert builder.record_count() == len(taken)
    buffer = bytes(builder._build())
    assert len(buffer) <= limit
    records = list(MemoryRecords(buffer).next_batch())
    assert [record.value for record in records] == taken
    assert [record.offset for record in records] == list(range(len(taken)))
