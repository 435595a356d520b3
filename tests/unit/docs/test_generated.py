"""The parts of pages that are made from the code are what it makes now."""

import pytest

from tests.unit.docs.generated.markdown import field_texts
from tests.unit.docs.generated.parts import PAGES, PARTS, filled

COMMAND = "python -m tests.unit.docs.generated"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_what_the_code_gives(page):
    text = page.read_text()
    assert filled(text) == text, f"`{COMMAND}` writes it anew"


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_on_a_page(name):
    assert sum(page.read_text().count(f"<!-- generated: {name} -->") for page in PAGES) == 1


def test_a_part_that_does_not_exist_is_found():
    with pytest.raises(KeyError):
        filled("<!-- generated: nothing -->\n<!-- end -->")


def test_a_changed_part_is_found():
    page = "<!-- generated: metrics -->\nold\n<!-- end -->"
    assert "k2_connected" in filled(page) != page


def test_what_stands_behind_a_field_is_its_meaning():
    assert field_texts("CandleItem")["filled"].startswith("Whether the window had no trades")
