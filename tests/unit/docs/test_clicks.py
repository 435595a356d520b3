"""What a reader needs in a hurry is within two clicks of the index; every page is in the site's menu."""

import re

import pytest
import yaml

from tests.unit.docs.pages import ROOT
from tests.unit.docs.test_links import anchors_of, links_of

DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
NEEDED = ["inspect.md", "quick-reference.md", "getting-started.md", "exchanges.md#add-one"]
RUNBOOKS = sorted(f"runbooks/{page.name}" for page in (DOCS / "runbooks").glob("[A-Z][a-z]*.md"))


def clicks_to(wanted, most=2):
    """How many links lead from the index to a place; None if more than `most` do."""
    name, _, anchor = wanted.partition("#")
    target = DOCS / name
    assert not anchor or anchor in anchors_of(target)
    reached, seen = {INDEX}, {INDEX}
    for clicks in range(1, most + 1):
        reached = {
            (page.parent / link.partition("#")[0]).resolve()
            for page in reached
            for link in links_of(page)
            if link.partition("#")[0].endswith(".md")
        } - seen
        if target in reached:
            return clicks
        seen |= reached
    return None


@pytest.mark.parametrize("page", [*NEEDED, *RUNBOOKS])
def test_it_is_within_two_clicks(page):
    assert clicks_to(page)


def test_what_no_link_leads_to_is_found():
    assert clicks_to("nowhere.md") is None


def test_every_alert_has_a_runbook_within_two_clicks():
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    assert {f"runbooks/{alert}.md" for alert in alerts} == set(RUNBOOKS)


def test_every_page_is_in_the_menu_of_the_site():
    listed = re.findall(r"([\w/.-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert pages == {page for page in listed if not page.startswith("repository/")}
    beside = {page.removeprefix("repository/") for page in listed if page.startswith("repository/")}
    assert all((ROOT / page).exists() for page in beside)
    assert {page.name for page in ROOT.glob("*.md")} <= beside
