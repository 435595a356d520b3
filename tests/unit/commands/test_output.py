"""What commands print: results as JSON or for people, failures in one form, exit codes as documented."""

import json
import re
from decimal import Decimal

import click
import pytest
from click.testing import CliRunner

from k2stream.cli import main
from k2stream.commands import exit_codes, failures
from k2stream.commands.output import Printer, printed
from k2stream.model import errors
from tests.unit.docs.pages import ROOT

CLI_PAGE = (ROOT / "docs" / "cli.md").read_text()


def leaves(command: click.Command, name: str = "k2"):
    """Every command that does something, by its full name."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command, info_name=name)
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found is not None
        yield from leaves(found, f"{name} {below}")


COMMANDS = dict(leaves(main))


def invoke(function, *arguments):
    return CliRunner().invoke(click.command()(printed(function)), arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name):
    (option,) = (parameter for parameter in COMMANDS[name].params if "--json" in parameter.opts)
    assert option.multiple is False


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_on_the_page(name):
    assert f"`{name}" in CLI_PAGE


def test_decimals_are_strings_with_all_their_digits_and_one_result_is_one_line():
    def command(*, out: Printer) -> None:
        out.line({"price": Decimal("0.00190000"), "big": Decimal("12345678901234567890.123456789")}, "text")
        out.line([Decimal(1)], "more")

    first, second = invoke(command, "--json").stdout.splitlines()
    assert json.loads(first) == {"price": "0.00190000", "big": "12345678901234567890.123456789"}
    assert second == '["1"]'
    assert invoke(command).stdout == "text\nmore\n"


def test_notes_go_to_standard_error_and_lines_for_people_are_no_json():
    def command(*, out: Printer) -> None:
        out.note("starting")
        out.say("three rows")
        out.show({"rows": 3}, "a view")

    as_json, for_people = invoke(command, "--json"), invoke(command)
    assert (as_json.stdout, as_json.stderr) == ('{"rows":3}\n', "starting\n")
    assert (for_people.stdout, for_people.stderr) == ("three rows\na view\n", "starting\n")


def test_a_question_is_not_asked_under_json():
    def command(*, out: Printer) -> None:
        out.line(out.confirm("go on?", yes=False), "")

    assert isinstance(invoke(command, "--json").exception, errors.ConfigError)
    assert "give --yes" in str(invoke(command, "--json").exception)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("status", 1, "nothing runs on"),
        ("candles BTC/USDT 2y", 2, "timeframe '2y' is unknown"),
        ("candles BTC/USDT 1m --limit", 2, "--limit"),
        ("table show nonsense --nonsense", 2, "No such option"),
        ("demo --seconds 0", 2, "--seconds"),
        ("reset", 1, "give --yes"),
        ("nonsense", 2, "No such command"),
    ],
)
def test_a_failure_under_json_is_an_object_on_standard_error(line, code, said, tmp_path, monkeypatch):
    monkeypatch.setenv("K2_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, [*line.split(), "--json"])
    report = json.loads(result.stderr)
    assert said in report["error"]
    assert (result.stdout, result.exit_code, report["exit_code"]) == ("", code, code)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["topics", "--json"], True),
        (["demo", "--json=file"], True),
        (["x", "--", "--json"], False),
        ([], False),
    ],
)
def test_json_is_known_to_be_wanted_before_options_are_read(words, wanted):
    assert failures.wants_json(words) is wanted


def subclasses(kind):
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def test_exit_codes_are_those_of_the_page():
    table = re.findall(r"^\| `(\d+)` \| (.+) \|$", CLI_PAGE, re.MULTILINE)
    assert {int(code): meaning for code, meaning in table} == exit_codes.MEANINGS
    raised = {error.exit_code for error in subclasses(errors.K2Error)} | {click.UsageError.exit_code}
    assert raised <= exit_codes.MEANINGS.keys()


def test_no_command_has_an_exit_code_of_its_own():
    for file in (ROOT / "k2stream" / "commands").glob("*.py"):
        assert not re.search(r"SystemExit\(\s*\d|sys\.exit\(\s*\d", file.read_text()), file.name


def test_colors_are_off_when_asked(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = CliRunner().invoke(main, ["settings"], color=True)
    assert "K2_DATA_DIR" in result.stdout
    assert "\x1b[3" not in result.stdout
