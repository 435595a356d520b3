"""What every command prints: a value as JSON, or a view of it for people.

Results go to standard output, notes and progress to standard error. As JSON, each result is one line, and
decimals are strings with all their digits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from k2stream.commands.called import as_called
from k2stream.commands.failures import JSON
from k2stream.commands.options import OutputFile
from k2stream.model.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    View = Callable[[Console], RenderableType]
    """Draws a result for a console, of which it needs the width."""

Command = Callable[..., None]

_STDOUT = "-"

_encoder = msgspec.json.Encoder(decimal_format="string")


def encoded(value: object) -> str:
    """A value as one line of JSON."""
    return _encoder.encode(value).decode()


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints the results of a command, as JSON if `as_json`, else as views."""

    as_json: bool

    def show(self, value: object, view: RenderableType | View) -> None:
        """Print a result: its value as JSON, or its view."""
        if self.as_json:
            click.echo(encoded(value))
        else:
            console = _console()
            console.print(view(console) if callable(view) else view)

    def line(self, value: object, text: str, style: str = "") -> None:
        """Print one of several results that come one by one, or a result of one line."""
        if self.as_json:
            click.echo(encoded(value))
        else:
            _print(_console(), text, style)

    def say(self, text: str) -> None:
        """Print a line for people, which the results as JSON already say."""
        if not self.as_json:
            click.echo(text)

    def verdict(self, text: Text) -> None:
        """Print what the results come to, for people: the last line."""
        if not self.as_json:
            _console().print(text, soft_wrap=True)

    @contextmanager
    def working(self) -> Iterator[Callable[[str], None]]:
        """Yields a function that says the present step: in one line of a terminal, else in a note each."""
        console = _console(stderr=True)
        if not console.is_terminal:
            yield self.note
            return
        from rich.text import Text

        with console.status("working") as status:
            yield lambda text: status.update(Text(text, "dim"))

    def note(self, text: str, style: str = "dim") -> None:
        """Print a note or a step to standard error."""
        _print(_console(stderr=True), text, style)

    def confirm(self, question: str, *, yes: bool) -> bool:
        """Ask, unless `yes`. Raises ConfigError under --json, where nobody can be asked."""
        if yes:
            return True
        if self.as_json:
            raise ConfigError(f"{question} cannot be asked under --json: give --yes")
        return click.confirm(question)


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console  # memory that a worker, which draws nothing, need not have

    return Console(stderr=stderr)


def _print(console: Console, text: str, style: str) -> None:
    from rich.text import Text

    console.print(Text(as_called(text), style), soft_wrap=True)


def printed(command: Command) -> Command:
    """Add --json to a command, and hand it its Printer as `out`: the decorator next to the function."""

    @click.option(JSON, "as_json", is_flag=True, help="Print JSON: one line per result.")
    @functools.wraps(command)
    def run(*arguments: Any, as_json: bool, **options: Any) -> None:
        command(*arguments, out=Printer(as_json), **options)

    return run


def printed_to(command: Command) -> Command:
    """Like `printed`, with an optional FILE of --json, which the command gets as `file`."""

    @click.option(
        JSON,
        "given",
        is_flag=False,
        flag_value=_STDOUT,
        type=_FileOrStdout(),
        metavar="[FILE]",
        help="Print JSON; with FILE, write it there instead, and print for people.",
    )
    @functools.wraps(command)
    def run(*arguments: Any, given: Path | str | None, **options: Any) -> None:
        file = given if isinstance(given, Path) else None
        command(*arguments, file=file, out=Printer(given == _STDOUT), **options)

    return run


class _FileOrStdout(OutputFile):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == _STDOUT else super().convert(value, param, ctx)


def save(file: Path, value: object) -> None:
    """Write a value to a file as indented JSON."""
    file.write_bytes(msgspec.json.format(_encoder.encode(value), indent=1) + b"\n")
