"""The pages of the repository, and what is read of them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("", "docs", "docs/decisions", "docs/operations", "examples", "benchmarks")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
OPERATIONS = ROOT / "docs" / "operations"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")


def prose_of(page):
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text())
