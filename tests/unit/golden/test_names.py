"""Names that are stored or public do not change by accident."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.golden import names

ROOT = Path(__file__).parents[3]
AGAIN = "python -m tests.unit.golden.names"


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    """As the code has them: in a process of its own, which makes every role's app."""
    command = [sys.executable, "-m", "tests.unit.golden.names", "--print"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return names.read(done.stdout)


@pytest.mark.parametrize("title", names.SECTIONS)
def test_no_stored_or_public_name_changes(title: str, found: dict[str, list[str]]) -> None:
    golden = names.read(names.GOLDEN.read_text(encoding="utf-8"))
    then, now = set(golden.get(title, ())), set(found[title])
    gone, new = "\n  ".join(sorted(then - now)), "\n  ".join(sorted(now - then))
    assert not gone, (
        f"{title}: gone or changed:\n  {gone}\nnow there:\n  {new}\n{names.SECTIONS[title].breaks}\n"
        f"If that was released, restore it; if not, or if it is meant and CHANGELOG.md says so: `{AGAIN}`"
    )
    assert not new, f"{title}: new:\n  {new}\nWhat is released keeps its name. Is it the right one? `{AGAIN}`"


def test_the_file_is_sorted_and_has_each_section_once() -> None:
    text = names.GOLDEN.read_text(encoding="utf-8")
    golden = names.read(text)
    assert list(golden) == list(names.SECTIONS)
    assert all(listed == sorted(set(listed)) for listed in golden.values())
    assert names.written(golden) == text
