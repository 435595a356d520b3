"""Every shell block is run by a test, or checked, or says why it is neither.

What follows the language of a fence says how it is tested:

    ```sh run                    by tests/integration/test_platform.py, against a running platform
    ```sh test_x.py::test_y      by this test
    ```sh checked                not run: its commands exist, with their options (test_commands.py)
    ```sh skip: needs Docker     not at all, and why
"""

import re

import pytest

from tests.unit.docs.pages import NAMES, PAGES, ROOT, SHELL, blocks_of, prose_of

LANGUAGES = (*SHELL, "text", "python", "sql", "json", "js", "yaml")
PROGRAMS = ("k2", "make", "curl", "python", "pip", "docker", "git", "faust", "apt-get")
_COMMAND = re.compile(rf"(\$ |(\.venv/bin/)?({'|'.join(PROGRAMS)}) )")
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL_BLOCKS = [block for block in BLOCKS if block.language in SHELL]


def label(block):
    return f"{block.page}: {block.body.splitlines()[0][:50]}"


def exists(test):
    """Whether a test of this name is in a file of this name: test_x.py::test_y."""
    file, _, name = test.partition("::")
    return any(f"def {name}(" in path.read_text() for path in (ROOT / "tests").rglob(file))


def known(mark):
    """Whether a mark says how its block is tested, or why it is not."""
    if re.fullmatch(r"test_\w+\.py::test_\w+", mark):
        return exists(mark)
    return mark in ("run", "checked") or re.fullmatch(r"skip: \w.{4,}", mark) is not None


@pytest.mark.parametrize("block", BLOCKS, ids=label)
def test_a_block_says_its_language_and_only_shell_blocks_have_commands(block):
    assert block.language in LANGUAGES
    if block.language == "text":
        assert not [line for line in block.body.splitlines() if _COMMAND.match(line)]


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=label)
def test_a_shell_block_is_tested_or_says_why_not(block):
    assert known(block.mark), f"```{block.language} {block.mark}: see tests/unit/docs/test_blocks.py"
    assert list(block.calls), "a shell block without a command: use ```text"
    if block.mark in ("run", "checked"):
        programs = {call.words[0] for call in block.calls}
        assert programs <= ({"k2", "curl"} if block.mark == "run" else {"k2", "make"})


@pytest.mark.parametrize("mark", ["", "no-test", "skip", "skip: no", "test_pages.py::test_nothing_of_this"])
def test_another_mark_is_found(mark):
    assert not known(mark)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_stand_in_fences_not_in_indented_blocks(page):
    indented = re.findall(r"^(?: {4}|\t)(.*)", prose_of(page), re.MULTILINE)
    assert not [line for line in indented if _COMMAND.match(line.strip())]
