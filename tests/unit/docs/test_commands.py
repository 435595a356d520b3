"""Every `k2` command in the pages exists, with its options; and every target of make."""

import re

import click
import pytest

from k2stream.cli import main
from tests.unit.docs.pages import NAMES, PAGES, ROOT, SPAN, blocks_of, prose_of, words_of


def commands_of(page):
    """Calls of k2 and make, as words: those of shell blocks, and code spans that begin with one."""
    calls = [call.words for block in blocks_of(page) for call in block.calls]
    spans = [words_of(span) for span in SPAN.findall(prose_of(page)) if re.match(r"(\S*/)?(k2|make) ", span)]
    return [words for words in (*calls, *spans) if words and words[0] in ("k2", "make")]


def check_call(words):
    """Fails where a command, subcommand or option does not exist; arguments in capitals stand for any."""
    command: click.Command = main
    context = click.Context(main, info_name="k2")
    call = " ".join(words)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        name, *words = words
        if "|" in name or name == "…":  # stands for several
            for one in name.split("|"):
                assert command.get_command(context, one), f"k2 {call}: no command {one}"
            return
        found = command.get_command(context, name)
        assert found, f"k2 {call}: no command {name}"
        command, context = found, click.Context(found, info_name=name)
    options = {name for parameter in command.params for name in parameter.opts} | {"-h", "--help"}
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
    assert not unknown, f"k2 {call}: no option {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_exists_with_its_options(page):
    for program, *words in commands_of(page):
        if program == "k2":
            check_call(words)


@pytest.mark.parametrize(
    "call", ["nothing", "refill --everything TABLE", "dlq forget", "cold maintain --fast"]
)
def test_a_command_that_does_not_exist_is_found(call):
    with pytest.raises(AssertionError):
        check_call(call.split())


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_of_make_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for words in commands_of(page) if words[0] == "make" and len(words) > 1}
    assert {name for name in named if re.fullmatch(r"[a-z-]+", name)} <= targets
