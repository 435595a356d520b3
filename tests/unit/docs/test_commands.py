"""Every `k2` command in the pages exists, with its options; and every target of make."""

import re
import shlex

import click
import pytest

from k2stream.cli import main
from tests.unit.docs.pages import FENCE, NAMES, PAGES, ROOT, SPAN, prose_of


def commands_of(page):
    """Calls of k2, by line: of shell blocks without their comments, and of code spans that begin with it."""
    blocks = [body for kind, body in FENCE.findall(page.read_text()) if kind in ("", "sh", "bash", "shell")]
    lines = [line for body in blocks for line in body.splitlines()] + SPAN.findall(prose_of(page))
    calls = (re.match(r"(?:\.venv/bin/)?k2 (.*)", line.strip()) for line in lines)
    return [call[1] for call in calls if call]


def check_call(call):
    """Fails where a command, subcommand or option does not exist; arguments in capitals stand for any."""
    command: click.Command = main
    context = click.Context(main, info_name="k2")
    words = shlex.split(call, comments=True)
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
    for call in commands_of(page):
        check_call(call)


@pytest.mark.parametrize(
    "call", ["nothing", "refill --everything TABLE", "dlq forget", "cold maintain --fast"]
)
def test_a_command_that_does_not_exist_is_found(call):
    with pytest.raises(AssertionError):
        check_call(call)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_of_make_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    blocks = "\n".join(
        f"`{line}`" for _, body in FENCE.findall(page.read_text()) for line in body.splitlines()
    )
    assert set(re.findall(r"`make ([a-z-]+)", blocks + prose_of(page))) <= targets
