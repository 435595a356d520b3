"""A column of latencies counts as its values one by one do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from k2stream.metrics import observe_column


def made(values, observe):
    histogram = Histogram("seconds", "", buckets=(0.1, 1, 10), registry=CollectorRegistry())
    observe(histogram, values)
    (metric,) = histogram.collect()
    return {
        (sample.name, *sample.labels.values()): round(sample.value, 6)
        for sample in metric.samples
        if "created" not in sample.name
    }


def one_by_one(histogram, values):
    for value in values:
        histogram.observe(value)


@given(st.lists(st.floats(-1, 100)))
def test_a_column_counts_as_its_values_do(values):
    assert made(values, lambda histogram, column: observe_column(histogram, np.array(column))) == made(
        values, one_by_one
    )
