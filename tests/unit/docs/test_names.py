"""Settings, metrics and alerts in the pages exist; the changelog has its form."""

import re

import pytest
import yaml
from prometheus_client import REGISTRY

import k2stream.metrics  # noqa: F401 - registers the metrics
from k2stream.settings.secret_files import file_variables
from k2stream.settings.variables import variables
from tests.unit.docs.pages import NAMES, OPERATIONS, PAGES, ROOT, SPAN
from tests.unit.test_architecture import ROWS

SETTINGS = {variable.environment_name for variable in variables().values()} | set(file_variables())


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_setting_exists(page):
    named = set(re.findall(r"\bK2_[A-Z0-9_]*[A-Z0-9]\b", page.read_text()))
    assert named <= SETTINGS


def test_every_metric_exists_and_the_page_has_them_all():
    families = [family for family in REGISTRY.collect() if family.name.startswith("k2_")]
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    page = (OPERATIONS / "watch.md").read_text()
    listed = set(re.findall(r"^\| (`k2_[^|]+) \|", page, re.MULTILINE))
    assert {name for cell in listed for name in SPAN.findall(cell)} == shown


def test_the_page_lists_every_alert():
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    page = (OPERATIONS / "watch.md").read_text()
    assert {rule["alert"] for group in rules for rule in group["rules"]} == set(
        re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE)
    )


def test_the_changelog_has_the_version_and_its_sections():
    text = (ROOT / "CHANGELOG.md").read_text()
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    releases = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert version and releases[:1] == ["Unreleased"] and version[1] in releases
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security",
    }  # fmt: skip


def test_the_rows_of_rooms_are_those_of_the_architecture():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    shown = {int(row): {re.sub(r"/$|\.py$", "", room) for room in SPAN.findall(cell)} for row, cell in rows}
    held = {len(ROWS) - number: set(rooms.split()) for number, rooms in enumerate(ROWS)}
    assert shown == {row: rooms for row, rooms in held.items() if rooms - {"__main__", "cli"}}
