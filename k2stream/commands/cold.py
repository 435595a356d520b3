"""`k2 cold …`: the Iceberg tier."""

from __future__ import annotations

import click
import httpx

from k2stream import settings as settings_module
from k2stream.errors import ConfigError
from k2stream.local.running import find


@click.group()
def cold() -> None:
    """Work with the Iceberg tier."""


@cold.command()
@click.option("--url", help="Base URL of a cold worker; otherwise that of the running platform.")
def flush(url: str | None) -> None:
    """Commit what the cold worker holds now, instead of at its next interval."""
    settings = settings_module.get()
    running = find(settings)
    base = url or (running.urls.get("cold") if running else None)
    if base is None:
        raise ConfigError(f"nothing runs on {settings.data_path}; start it with `k2 up`, or give --url")
    try:
        answer = httpx.post(f"{base}/cold/flush", timeout=120)
    except httpx.TransportError as error:
        raise ConfigError(f"no answer from {base}: {error}") from None
    if answer.is_error:
        raise ConfigError(f"{base}/cold/flush: {answer.status_code} {answer.text}")
    click.echo(answer.text)
