"""What the status view shows of latencies: those of the last minute."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from k2stream.platform.scrape import Samples
from k2stream.rolling import RollingHistogram


def quantile(histogram, share):
    """As the status view reads it of a worker's page."""
    registry = CollectorRegistry()
    registry.register(histogram)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    values = {
        "now_bucket": {tuple(sorted(s.labels.items())): s.value for s in samples if s.name == "now_bucket"}
    }
    return Samples(values).quantile("now", share, to="candle")


def test_a_quantile_lies_within_its_bucket_and_at_the_last_bound_beyond_all():
    histogram = RollingHistogram("now", "", "to", (0.01, 1, 20), clock=lambda: 1000.0)
    histogram.add("candle", np.array([10, 80, 0, 10]))
    found = [quantile(histogram, share) for share in (0.05, 0.1, 0.5, 0.9, 0.91, 1.0)]
    assert found == pytest.approx([0.005, 0.01, 0.01 + 0.99 / 2, 1, 20, 20])


def test_a_slow_start_is_forgotten_after_a_minute():
    now = [1000.0]
    histogram = RollingHistogram("now", "", "to", (0.01, 1, 20), clock=lambda: now[0])
    assert quantile(histogram, 0.99) is None
    histogram.add("candle", np.array([0, 0, 50, 0]))  # a start of up to 20 s
    histogram.add("candle", np.array([50, 0, 0, 0]))
    assert (quantile(histogram, 0.5), quantile(histogram, 0.99)) == (0.01, pytest.approx(1 + 19 * 0.98))
    now[0] += 55
    histogram.add("candle", np.array([100, 0, 0, 0]))
    assert quantile(histogram, 0.99) == pytest.approx(1 + 19 * 0.96)
    now[0] += 5
    assert quantile(histogram, 0.99) == pytest.approx(0.0099)
    now[0] += 60
    assert quantile(histogram, 0.99) is None
