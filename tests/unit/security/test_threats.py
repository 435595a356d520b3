"""SECURITY.md names tests that exist, for each threat."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT)))
THREATS = [line for line in TEXT.splitlines() if re.match(r"\| (\*\*|…)", line)]


def test_each_threat_names_a_test_or_says_that_nothing_is_done():
    assert len(THREATS) > 25
    for line in THREATS:
        assert "::test_" in line or "**not prevented**" in line, line


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file, name):
    texts = [path.read_text() for path in (ROOT / "tests").rglob(file)]
    assert any(re.search(rf"def {name}\(", text) for text in texts), f"no {name} in any {file}"


def test_every_test_of_this_folder_shows_something_that_the_page_names():
    """A test of security that no threat names is one that nobody looks for."""
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    named = {file for file, _ in NAMED}
    assert files - named == {"test_tls_settings.py"}, files - named
