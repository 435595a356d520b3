"""How a failed command says so: one line on standard error, under --json a JSON object."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import click
import msgspec

from k2stream.commands.called import as_called
from k2stream.commands.exit_codes import FAILED
from k2stream.model.errors import K2Error, NoServer

JSON = "--json"


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON; also one whose options are wrong, which no parser has read."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(word.partition("=")[0] == JSON for word in options)


def as_click(error: Exception) -> click.ClickException | None:
    """The error as click prints it; None for a fault of ours, whose traceback is wanted."""
    if isinstance(error, click.ClickException):
        return error
    if isinstance(error, NoServer):
        return _one_line(_nothing_runs(error.address, error.setting) or str(error))
    if isinstance(error, K2Error):
        return _one_line(str(error), error.exit_code)
    if type(error).__name__ == "KafkaConnectionError":  # the client is slow to import
        return _one_line(_no_broker(str(error)))
    return None


def show(error: click.ClickException, *, as_json: bool) -> None:
    """Print the error to standard error: the last line that the command prints."""
    if as_json:
        report = {"error": error.format_message(), "exit_code": error.exit_code}
        print(msgspec.json.encode(report).decode(), file=sys.stderr)
    else:
        error.message = as_called(error.message)
        error.show()


def _one_line(text: str, exit_code: int = FAILED) -> click.ClickException:
    error = click.ClickException(text)
    error.exit_code = exit_code
    return error


def _nothing_runs(address: str, setting: str) -> str:
    """The message where a default address, which nobody chose, does not answer; "" for one that was given."""
    from k2stream.platform.running import not_started  # slow to import
    from k2stream.settings import current

    folder = not_started(current(), address)
    return f"nothing runs on {folder}: start it with `k2 up`, or set {setting}" if folder else ""


def _no_broker(text: str) -> str:
    """The message for a KafkaConnectionError, whose text lists the addresses it tried as tuples."""
    tried = ",".join(f"{host}:{port}" for host, port in re.findall(r"\('([^']+)', (\d+)", text))
    if nothing := _nothing_runs(tried, "K2_KAFKA_BOOTSTRAP"):
        return nothing
    what = f"no Kafka broker at {tried}" if tried else text
    return f"{what}; start one with `k2 up` or set K2_KAFKA_BOOTSTRAP"
