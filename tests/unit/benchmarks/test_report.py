"""docs/performance.md says what results/latest.json says."""

import json
from xml.etree import ElementTree

from benchmarks import report
from benchmarks.results import FOLDER

LATEST = json.loads((FOLDER / "latest.json").read_text())


def test_the_page_shows_the_latest_results():
    page = report.PAGE.read_text()
    assert report.filled(page, LATEST) == page
    assert report.PLOT.read_text() == report.plot(LATEST)


def test_the_plot_has_a_bar_for_every_system():
    bars = ElementTree.fromstring(report.plot(LATEST)).findall(".//{*}rect")[1:]
    assert len(bars) == sum(
        len(LATEST.get("whole_run", {}).get(kind, ())) for kind in ("normalise", "candles")
    )


def test_a_stage_whose_output_is_wrong_is_named_without_a_figure():
    k2 = {part: {"candles": {"k2": 1.0}} for part in (*report._SECONDS, "whole_run", "rss_mb")}
    page = "<!-- figures: candles -->\n<!-- end -->"
    found = report.filled(page, k2 | {"candles": {"k2": 5}, "wrong": {"candles": {"flink": "3 wrong"}}})
    assert "| **k2** | 5 |" in found
    assert "| flink | WRONG |  |" in found
