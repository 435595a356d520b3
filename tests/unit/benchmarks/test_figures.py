"""The definitions behind the benchmark's figures."""

from dataclasses import replace

import pytest

from benchmarks import results
from benchmarks.measure import Figures, StageError, _figures, _Sample
from benchmarks.stages.registry import Kind

# 1M records in 10 s, the second half twice as fast; half a second of start before.
SAMPLES = [
    _Sample(100.5, 0, 1.0, 0.0),
    _Sample(107.0, 500_000, 4.0, 1.0),
    _Sample(110.5, 1_000_000, 6.0, 2.0),
]


def test_rates_and_cpu_are_of_the_time_between_first_and_last_record():
    figures = _figures(SAMPLES, 1_000_000, rss=120.0, begun=100.0)
    assert figures.rate == pytest.approx(100_000)
    assert figures.warm_rate == pytest.approx(500_000 / 3.5)
    assert figures.cpu == pytest.approx(5.0)
    assert figures.warm_cpu == pytest.approx(4.0)
    assert figures.broker_cpu == pytest.approx(2.0)
    assert figures.start_seconds == pytest.approx(0.5)


def test_a_stage_too_fast_to_watch_is_refused():
    with pytest.raises(StageError, match="run more"):
        _figures(SAMPLES[-1:], 1_000_000, rss=1.0, begun=0.0)


def test_summary_takes_medians_and_compares():
    base = Figures(1_000_000, 10.0, 100_000, 120_000, 5.0, 4.0, 2.0, 120.0, 0.5)
    ours = [replace(base, warm_rate=rate) for rate in (300_000, 100_000, 200_000)]
    theirs = [replace(base, cpu=10.0)]
    runs = {Kind.NORMALISE: {"k2": ours, "kafka_streams": theirs}, Kind.CANDLES: {"k2": ours}}
    found = results.summary(runs)
    assert found["normalise"] == {"k2": 200_000, "kafka_streams": 120_000}
    assert found["candles"]["k2_six"] == 200_000
    assert found["chain"]["k2"] == 100_000
    assert found["chain_per_cpu_s"] == {"k2": 100_000}
    assert found["ratios"]["normalise: k2 / kafka_streams"] == 1.67
    assert found["ratios"]["normalise: CPU seconds k2 / kafka_streams"] == 0.5


def test_results_of_other_programs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    results.keep({"rss_mb": {"platform": {"200": 1}}, "growth": 1}, "partial")
    path = results.keep({"rss_mb": {"normalise": 2}}, "partial")
    assert '"platform"' in path.read_text()
    assert '"growth"' in path.read_text()
