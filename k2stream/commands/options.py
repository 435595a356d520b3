"""Option types shared by commands; invalid values are refused before anything starts."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from k2stream import exchanges, instruments
from k2stream.model import clock
from k2stream.model.errors import ConfigError
from k2stream.model.instrument import Instruments
from k2stream.settings import FeedSettings

MAX_RATE = 100_000


class Number(click.FloatRange):
    """A finite number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert a number; infinity and NaN are refused here because they pass FloatRange."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Moment(click.ParamType):
    """A time, converted to ms since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert ms since 1970, or ISO 8601 (UTC unless it has an offset)."""
        try:
            ms = value if isinstance(value, int) else clock.parse_time(value)
        except ValueError:
            self.fail(f"{value!r} must be ms since 1970 or ISO 8601, e.g. 2026-11-20T13:30.", param, ctx)
        if not 0 <= ms * 1000 < clock.TIME_LIMIT:
            self.fail(f"{value!r} is before 1970 or beyond 2286.", param, ctx)
        return ms


class OutputFile(click.Path):
    """A writable file, checked first because commands may run for long before they write it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Check that the folder exists and is writable, without creating the file."""
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not os.access(file.parent, os.W_OK | os.X_OK):
            self.fail(f"folder {str(file.parent)!r} does not exist or is read-only.", param, ctx)
        return file


class BaseUrl(click.ParamType):
    """The base URL of a worker's web server."""

    name = "URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept only http and https URLs."""
        try:
            parts = urlsplit(value)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
                return str(value)
        except ValueError:  # invalid port
            pass
        return self.fail(f"{value!r} must be like http://127.0.0.1:6066.", param, ctx)


Command = Callable[..., Any]


def simulation(command: Command) -> Command:
    """Add --rate and --seed to a command that starts simulated exchanges."""
    rate = click.option(
        "--rate",
        default=200,
        show_default=True,
        type=click.IntRange(1, MAX_RATE),
        help="Simulated trades per second, over all exchanges.",
    )
    seed = click.option("--seed", default=7, show_default=True, help="Seed of the simulated market.")
    return rate(seed(command))


def secure(command: Command) -> Command:
    """Add --secure to a command that starts an embedded stack."""
    text = (
        "Guard a new data folder: TLS with a CA of its own on every port, passwords, a key between workers."
    )
    return click.option("--secure", is_flag=True, help=text)(command)


def listed(settings: FeedSettings) -> Instruments:
    """Load the instruments.

    Raises ConfigError if the file is invalid, has a symbol that cannot be subscribed, or lacks an exchange.
    """
    found = instruments.load(settings.instruments_file)
    exchanges.check(found)
    for name in exchanges.REGISTRY:
        if not found.for_exchange(name):
            raise ConfigError(f"{settings.instruments_file}: no {name} symbols; add at least one")
    return found
