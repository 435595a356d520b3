"""Links and anchors lead somewhere, the index reaches every page, paths exist."""

import re
from functools import cache

import pytest

from tests.unit.docs.pages import NAMES, PAGES, ROOT, SPAN, prose_of

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"(agents|benchmarks|config|deploy|docs|examples|k2stream|schemas|tables|tests)/[\w./-]*")


@cache
def anchors_of(page):
    """As GitHub makes them: lower case, spaces to hyphens, other signs dropped."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def links_of(page):
    return [link for link in _LINK.findall(prose_of(page)) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_leads_somewhere(page):
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} is no file"
        assert not anchor or anchor in anchors_of(target), f"{link} is no heading"


def test_the_index_reaches_every_page():
    index = ROOT / "docs" / "README.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in links_of(index)}
    assert set((ROOT / "docs").rglob("*.md")) <= {*reached, index}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_path_exists(page):
    spans = (span for span in SPAN.findall(prose_of(page)) if _PATH.fullmatch(span) and "NAME" not in span)
    assert {span for span in spans if not (ROOT / span).exists()} == set()


def test_every_module_of_the_glossary_exists():
    modules = set(re.findall(r"`(k2stream/[\w/]+\.py)`", (ROOT / "docs" / "glossary.md").read_text()))
    assert len(modules) > 20
    assert {name for name in modules if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("name", [*NAMES, "Makefile", "mkdocs.yml"])
def test_no_merge_was_left_undone(name):
    assert not re.findall(r"^(?:<{7}|>{7}) ", (ROOT / name).read_text(), re.MULTILINE)
