"""`k2 sql`: asks ClickHouse, once or in a prompt."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from k2stream.clickhouse.asking import READ_ONLY, SERVER_ERRORS, asking, refused
from k2stream.commands.failures import as_click
from k2stream.commands.output import Printer, encoded, printed
from k2stream.commands.views.rows import rows_shown
from k2stream.model.errors import K2Error
from k2stream.platform.running import find
from k2stream.settings import current
from k2stream.settings.local import absolute

FORMATS = ("table", "vertical", "csv", "jsonl")

_READING = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "VALUES")
_QUIET = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|`[^`]*`|\"[^\"]*\"", re.DOTALL)
"""Comments, texts and quoted names: what stands there is no statement."""

_CHANGING = re.compile(r"\b(INSERT|INTO\s+OUTFILE)\b", re.IGNORECASE)
_SECRET = re.compile(r"password|identified|secret|access_key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows of a query, with the names and types of its columns."""

    columns: tuple[tuple[str, str], ...]
    rows: Sequence[Sequence[Any]]

    def value(self) -> dict[str, Any]:
        """The result as JSON: decimals are strings."""
        names = [name for name, _ in self.columns]
        columns = [{"name": name, "type": kind} for name, kind in self.columns]
        return {"columns": columns, "rows": [dict(zip(names, row, strict=True)) for row in self.rows]}


Ask = Callable[[str], QueryResult]


@click.command()
@click.argument("query", required=False)
@click.option("--format", "layout", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--write", is_flag=True, help="Allow statements that change something.")
@printed
def sql(query: str | None, layout: str, write: bool, *, out: Printer) -> None:
    """Run QUERY, or a prompt, on ClickHouse; tables are those of K2_CLICKHOUSE_DATABASE.

    In the prompt a statement ends with `;` and may have several lines; \\q ends it, and the history is kept
    in K2_CACHE_DIR. Nothing can be changed without --write.
    """
    if out.as_json and layout != "table":
        raise click.UsageError("choose one of --json and --format")
    if query is not None:
        check(query, write=write)
    elif out.as_json or not sys.stdin.isatty():
        query = click.get_text_stream("stdin").read()
        check(query, write=write)
    running = find(current())
    settings = running.settings if running else current()
    # The embedded engine has a session per connection, whose read-only mode ends with it.
    limits: Mapping[str, int] = {} if write or running else READ_ONLY
    with asking(settings.clickhouse) as client:

        def ask(text: str) -> QueryResult:
            statement = text.strip().rstrip(";")
            rows, columns = client.execute(statement, with_column_types=True, settings=limits) or ((), ())
            return QueryResult(tuple(columns), rows)

        if running and not write:
            client.execute(f"SET readonly = {READ_ONLY['readonly']}")
        if query is not None:
            _print(ask(query), layout, out)
            return
        ask("SELECT 1")  # without a server, say so before the prompt
        if settings.feeds.simulated:
            out.note("SIMULATED feeds", "yellow")
        history = absolute(settings.local.cache_dir) / "sql_history"
        _prompt(partial(_answered, ask, layout, out, write), history, out)


def check(query: str, *, write: bool) -> None:
    """Raise UsageError if there is no query, or one that changes something without `write`."""
    plain = _QUIET.sub(" '' ", query)
    words = re.findall(r"\w+", plain)
    if not words:
        raise click.UsageError("there is no query: give one as QUERY or on standard input")
    changing = _CHANGING.search(plain)
    word = " ".join(changing[1].split()) if changing else words[0]
    if not write and (changing or word.upper() not in _READING):
        raise click.UsageError(f"{word.upper()} may change something: give --write to allow it")


def _answered(ask: Ask, layout: str, out: Printer, write: bool, text: str) -> None:
    """Answer a statement of the prompt; an error is a line, and the prompt goes on."""
    try:
        check(text, write=write)
        _print(ask(text), layout, out)
    except SERVER_ERRORS as error:
        out.note(f"Error: {refused(error)}", "red")
    except (click.UsageError, K2Error) as error:
        shown = as_click(error)
        out.note(f"Error: {shown.format_message() if shown else error}", "red")


def _prompt(answer: Callable[[str], None], history: Path, out: Printer) -> None:
    """Read statements until the end of input."""
    import readline

    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    readline.read_history_file(history)
    readline.set_auto_history(False)
    out.note("end a statement with ;  \\q or Ctrl-D ends")
    lines: list[str] = []
    while True:
        try:
            line = input("  … " if lines else "k2> ")
        except KeyboardInterrupt:
            lines.clear()
            click.echo()
            continue
        except EOFError:
            click.echo()
            return
        if not lines and line.strip() in ("\\q", "exit", "quit"):
            return
        lines.append(line)
        if line.rstrip().endswith(";"):
            text = "\n".join(lines)
            lines.clear()
            if not _SECRET.search(text):
                readline.add_history(" ".join(text.split()))
                readline.write_history_file(history)
            answer(text)


def _print(result: QueryResult, layout: str, out: Printer) -> None:
    names = [name for name, _ in result.columns]
    if layout == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(result.rows)
        return
    if layout == "jsonl":
        for row in result.value()["rows"]:
            click.echo(encoded(row))
        return
    texts = [dict(zip(names, map(_text, row), strict=True)) for row in result.rows]
    out.show(result.value(), partial(rows_shown, texts, below=layout == "vertical"))
    count = len(result.rows)
    out.say(f"{count:,} row{'' if count == 1 else 's'}")


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, (list, tuple, dict)):
        return encoded(value)
    return str(value)
