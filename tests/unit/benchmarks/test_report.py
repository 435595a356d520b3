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
    assert len(bars) == sum(len(LATEST["whole_run"][kind]) for kind in ("normalise", "candles"))
