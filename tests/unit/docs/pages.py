"""The pages of the repository, and what is read of them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
FOLDERS = ("", "docs", "docs/decisions", "docs/operations", "docs/runbooks", "examples", "benchmarks")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
OPERATIONS = ROOT / "docs" / "operations"

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")

SHELL = ("sh", "console")
"""Languages of shell blocks: commands alone, and commands after `$ ` with what they print."""


class Call(NamedTuple):
    """A command of a shell block, without what it is piped to, and the lines that the page shows after it."""

    words: list[str]
    shown: list[str]


class Block(NamedTuple):
    """A fenced block; `mark` is what follows the language: how a shell block is tested."""

    page: str
    language: str
    mark: str
    body: str

    @property
    def calls(self) -> Iterator[Call]:
        """The commands of a shell block."""
        if self.language == "console":
            for part in re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                yield Call(words_of(command), shown)
        elif self.language == "sh":
            for line in self.body.replace("\\\n", " ").splitlines():
                if words := words_of(line):
                    yield Call(words, [])


def words_of(line: str) -> list[str]:
    """The words of a command, up to a comment or a pipe, without variables that are set for it."""
    words = shlex.split(line.removeprefix("$ "), comments=True)
    words = words[: words.index("|")] if "|" in words else words
    while words and re.match(r"[A-Z0-9_]+=", words[0]):
        del words[0]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else []


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    name = str(page.relative_to(ROOT))
    return [
        Block(name, language, mark.strip(), body)
        for info, body in found
        for language, _, mark in [info.partition(" ")]
    ]


def prose_of(page: Path) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))
