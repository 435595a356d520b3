"""The definitions behind the benchmark's figures."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from benchmarks import pairs, results, run
from benchmarks.check.verdict import WrongOutput
from benchmarks.measure import Figures, StageError, _figures, _Sample
from benchmarks.runner import checked
from benchmarks.stages.registry import STAGES, Kind

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
    assert found["wall_s_per_million"]["normalise"] == {"k2": 10.0, "kafka_streams": 10.0}
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


BASE = Figures(1_000_000, 10.0, 100_000, 120_000, 5.0, 4.0, 2.0, 120.0, 0.5)
STAGE = {f"{stage.kind}:{stage.name}": stage for stage in STAGES}


class Servers:
    """Stages whose output is right but for those named; the name of a system alone interrupts the run."""

    def __init__(self, wrong):
        self.wrong = wrong

    async def run(self, stage, records):
        if stage.name in self.wrong:
            raise asyncio.CancelledError  # as Ctrl-C does
        if f"{stage.kind}:{stage.name}" in self.wrong:
            raise WrongOutput("candles: 0 right, 1,122 wrong, 0 missing, 0 twice")
        return BASE, "candles: 1,122 right, 0 wrong, 0 missing, 0 twice"


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Runs the command on stages of which some are wrong; its result, and what it has written."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(run.build, "ROOT", tmp_path)
    monkeypatch.setattr(run.build, "versions", dict)

    def invoke(*arguments, wrong=()):
        @asynccontextmanager
        async def bench(folder, loaded):
            yield Servers(wrong)

        monkeypatch.setattr(run, "bench", bench)
        result = CliRunner().invoke(run.main, arguments)
        name = "latest" if "--add" in arguments else "partial"
        return result, json.loads((tmp_path / f"{name}.json").read_text())

    return invoke


def test_a_stage_with_a_wrong_output_has_no_figure_and_the_run_fails(measured):
    result, found = measured("--only", "candles:k2,candles:kafka_streams", wrong=["candles:kafka_streams"])
    assert result.exit_code == 1
    assert "WRONG" in result.output
    assert "1,122 wrong" in result.output
    assert found["candles"] == {"k2": 120_000, "k2_six": 120_000}
    assert found["cpu_s_per_million"]["candles"].keys() == found["raw"]["candles"].keys() == {"k2"}
    assert found["wrong"]["candles"].keys() == {"kafka_streams"}
    assert not [label for label in found["ratios"] if "kafka_streams" in label]


def test_a_wrong_k2_has_no_figure_either(measured):
    result, found = measured("--only", "normalise:k2,normalise:flink", wrong=["normalise:k2"])
    assert result.exit_code == 1
    assert found["normalise"] == {"flink": 120_000}
    assert found["ratios"] == {}


def test_right_stages_end_well(measured):
    result, found = measured("--only", "candles:k2")
    assert result.exit_code == 0, result.output
    assert found["wrong"] == {}


def test_runs_are_added_to_earlier_ones_and_a_stage_that_is_wrong_once_has_no_figure(measured):
    both = ("--add", "--runs", "1", "--only", "candles:k2,candles:kafka_streams")
    measured(*both)
    _, found = measured(*both)
    assert [len(taken) for taken in found["raw"]["candles"].values()] == [2, 2]
    assert found["runs"] == 2
    for wrong in (["candles:kafka_streams"], []):
        _, found = measured(*both, wrong=wrong)
        assert found["candles"] == {"k2": 120_000, "k2_six": 120_000}
        assert found["raw"]["candles"].keys() == {"k2"}
        assert found["wrong"]["candles"].keys() == {"kafka_streams"}


def test_what_was_measured_before_an_interruption_is_kept(measured):
    result, found = measured("--only", "candles:k2,candles:flink,candles:quix", wrong=["flink"])
    assert result.exit_code == 1
    assert "interrupted" in result.output
    assert found["candles"] == {"k2": 120_000, "k2_six": 120_000}


async def test_an_output_that_cannot_be_read_is_wrong():
    async def verify(started):
        raise EOFError("a record ends early")

    check = replace(STAGE["candles:k2"].check, verify=verify)
    with pytest.raises(WrongOutput, match="EOFError: a record ends early"):
        await checked(check, cast(Any, None))


def test_slower_is_more_than_three_hundredths_and_more_than_the_old_ever_took():
    def result(old, new):
        return pairs.Result([replace(BASE, cpu=cpu) for cpu in old], [replace(BASE, cpu=cpu) for cpu in new])

    assert not result([2.0, 2.1, 1.9], [2.05, 2.06, 2.04]).slower  # 1.025
    assert not result([2.0, 2.4, 1.9], [2.2, 2.2, 2.2]).slower  # 1.1, within the spread
    assert result([2.0, 2.1, 1.9], [2.2, 2.2, 2.2]).slower
    assert result([2.0, 2.1, 1.9], [2.2, 2.2, 2.2]).ratio == pytest.approx(1.1)
