"""What the status view shows of latencies: those of the last minute."""

import numpy as np
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


def test_a_slow_start_is_forgotten_after_a_minute():
    now = [1000.0]
    histogram = RollingHistogram("now", "", "to", (0.01, 1, 20), clock=lambda: now[0])
    assert quantile(histogram, 0.99) is None
    histogram.add("candle", np.array([0, 0, 50, 0]))  # a start of up to 20 s
    histogram.add("candle", np.array([50, 0, 0, 0]))
    assert (quantile(histogram, 0.5), quantile(histogram, 0.99)) == (0.01, 20)
    now[0] += 55
    histogram.add("candle", np.array([100, 0, 0, 0]))
    assert quantile(histogram, 0.99) == 20
    now[0] += 5
    assert quantile(histogram, 0.99) == 0.01
    now[0] += 60
    assert quantile(histogram, 0.99) is None
