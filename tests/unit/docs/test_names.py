"""Settings, metrics and alerts in the pages exist; the changelog has its form."""

import re

import pytest
import yaml
from prometheus_client import REGISTRY

import k2stream.metrics  # noqa: F401 - registers the metrics
from k2stream.exchanges import ON_BY_DEFAULT, VARIABLE
from k2stream.settings import Settings
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


def test_an_alert_means_the_same_on_every_page():
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    severities = {rule["alert"]: rule["labels"]["severity"] for group in rules for rule in group["rules"]}
    runbooks = ROOT / "docs" / "runbooks"
    rows = (runbooks / "README.md").read_text()
    listed = re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (\w+) \| (.+) \|$", rows, re.MULTILINE)
    assert {alert: severity for alert, severity, _ in listed} == severities
    for alert, _, meaning in listed:
        said = " ".join((runbooks / f"{alert}.md").read_text().split("\n\n")[1].split())
        assert said.startswith(meaning), alert
        link = f"[runbook](../runbooks/{alert}.md)"
        row = f"| `{alert}` | {said.split('. ')[0].rstrip('.')}: {link} |"
        assert row in (OPERATIONS / "watch.md").read_text(), row


def test_the_quick_reference_has_the_defaults():
    page = (ROOT / "docs" / "quick-reference.md").read_text()
    rows = re.findall(r"^\| `(K2_\w+)` \| `?([^|`]+)`? \|", page, re.MULTILINE)
    known = {variable.environment_name: variable for variable in variables().values()}
    shown = {name: text.strip() for name, text in rows if name in known}
    assert len(shown) > 5
    for name, text in shown.items():
        default = str(known[name].value_in(Settings())).removesuffix(".0") or "none"
        default = ",".join(ON_BY_DEFAULT) if name == VARIABLE else default
        assert default == text or default.endswith(f"/{text}"), name
