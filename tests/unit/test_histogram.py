"""A column of latencies counts as its values one by one do."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from k2stream.histogram import ColumnHistogram

BOUNDS = (0.1, 1, 10)


def shown(histogram):
    """By sample what a scrape sees; when a label was first used is left out."""
    (metric,) = histogram.collect()
    return {
        (sample.name, *sample.labels.items()): round(sample.value, 6)
        for sample in metric.samples
        if "created" not in sample.name
    }


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.floats(-1, 100)))))
def test_a_column_counts_as_its_values_do(columns):
    by_column = ColumnHistogram("seconds", "", "to", BOUNDS)
    by_value = Histogram("seconds", "", ["to"], buckets=BOUNDS, registry=CollectorRegistry())
    for label, values in columns:
        counts = by_column.observe(label, np.array(values))
        assert counts.sum() == len(values) and len(counts) == len(BOUNDS) + 1
        for value in values:
            by_value.labels(label).observe(value)
        by_value.labels(label)
    assert shown(by_column) == shown(by_value)


def test_it_is_written_as_prometheus_client_writes_its_own():
    own, ours = CollectorRegistry(), CollectorRegistry()
    Histogram("seconds", "How long.", ["to"], buckets=BOUNDS, registry=own).labels("a").observe(0.5)
    by_column = ColumnHistogram("seconds", "How long.", "to", BOUNDS)
    ours.register(by_column)
    by_column.observe("a", np.array([0.5]))
    texts = [generate_latest(registry).decode().splitlines() for registry in (own, ours)]
    assert [line.split(" ")[:-1] if "created{" in line else line for line in texts[0]] == [
        line.split(" ")[:-1] if "created{" in line else line for line in texts[1]
    ]
