"""The pages agree with the repository: links, anchors, commands, settings, metrics, alerts, quoted errors."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest
import yaml
from prometheus_client import REGISTRY

import k2stream.metrics  # noqa: F401 - registers the metrics
from k2stream.cli import main
from k2stream.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for folder in ("", "docs", "docs/decisions", "docs/operations", "examples", "benchmarks")
    for page in (ROOT / folder).glob("*.md")
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SETTINGS = {PREFIX + name.upper() for name in Settings.__struct_fields__}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")


def text_of(page):
    return page.read_text()


def prose_of(page):
    return _FENCE.sub("", page.read_text())


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


def commands_of(page):
    """Calls of k2, by line: of shell blocks without their comments, and of code spans that begin with it."""
    blocks = [body for kind, body in _FENCE.findall(text_of(page)) if kind in ("", "sh", "bash", "shell")]
    lines = [line for body in blocks for line in body.splitlines()] + _SPAN.findall(prose_of(page))
    calls = (re.match(r"(?:\.venv/bin/)?k2 (.*)", line.strip()) for line in lines)
    return [call[1] for call in calls if call]


def check_call(call):
    """Fails where a command, subcommand or option does not exist; arguments in capitals stand for any."""
    command, context = main, click.Context(main, info_name="k2")
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
    blocks = "\n".join(f"`{line}`" for _, body in _FENCE.findall(text_of(page)) for line in body.splitlines())
    assert set(re.findall(r"`make ([a-z-]+)", blocks + prose_of(page))) <= targets


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_setting_exists(page):
    named = set(re.findall(r"\bK2_[A-Z0-9_]*[A-Z0-9]\b", text_of(page)))
    assert named <= SETTINGS


def test_every_metric_exists_and_the_page_has_them_all():
    families = [family for family in REGISTRY.collect() if family.name.startswith("k2_")]
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    page = text_of(ROOT / "docs" / "operations" / "watch.md")
    listed = set(re.findall(r"^\| (`k2_[^|]+) \|", page, re.MULTILINE))
    assert {name for cell in listed for name in _SPAN.findall(cell)} == shown


def test_the_page_lists_every_alert():
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    page = text_of(ROOT / "docs" / "operations" / "watch.md")
    assert {rule["alert"] for group in rules for rule in group["rules"]} == set(
        re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE)
    )


@cache
def said():
    """Every text in the code, f-strings in the pieces between their values."""
    files = [file for folder in ("k2stream", "agents", "tables") for file in (ROOT / folder).rglob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return "\0".join(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def quoted():
    """The errors that the page quotes: the cells below the heading "the line says"."""
    column = None
    for line in text_of(ROOT / "docs" / "operations" / "mend.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            column = None
        elif "the line says" in cells:
            column = cells.index("the line says")
        elif column is not None and not set(line) <= set("|- "):
            yield from _SPAN.findall(cells[column])


def test_every_quoted_error_is_in_the_code():
    found = list(quoted())
    assert len(found) > 50
    for line in found:
        for piece in filter(str.strip, line.split("…")):
            assert piece in said(), f"no code says {piece!r} ({line})"


def test_every_module_of_the_glossary_exists():
    modules = set(re.findall(r"`(k2stream/[\w/]+\.py)`", text_of(ROOT / "docs" / "glossary.md")))
    assert len(modules) > 20
    assert {name for name in modules if not (ROOT / name).exists()} == set()


def test_the_changelog_has_the_version_and_its_sections():
    text = text_of(ROOT / "CHANGELOG.md")
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    releases = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert version and releases[:1] == ["Unreleased"] and version[1] in releases
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security",
    }  # fmt: skip
