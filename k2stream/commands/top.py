"""`k2 top`: prices, feeds and the pipeline, in the terminal."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict

import click
import httpx

from k2stream.commands import options
from k2stream.commands.output import Printer, printed
from k2stream.commands.terminal import overview
from k2stream.commands.terminal.app import Top
from k2stream.commands.terminal.overview import Screen
from k2stream.model.errors import ConfigError
from k2stream.platform.running import find
from k2stream.settings import ServiceSettings, current


@click.command()
@click.option("--url", type=options.BaseUrl(), help="Base URL of the service; otherwise that which runs.")
@printed
def top(url: str | None, *, out: Printer) -> None:
    """Watch last prices, feeds and the pipeline; keys: s symbols, p pipeline, e exchanges, q quit.

    Reads /v1/symbols, /v1/exchanges and /v1/status of the service, again and again. With --json, once.
    """
    settings = current()
    running = None if url else find(settings)
    base = url or (running.service if running else "")
    service = (running.settings if running else settings).service
    if not base:
        raise ConfigError(f"nothing runs on {settings.local.data_path}: start it with `k2 up`, or give --url")
    if out.as_json:
        found = asyncio.run(_once(base, service))
        out.line({"simulated": found.simulated, **asdict(found)}, "")
        return
    if not sys.stdout.isatty():
        raise click.UsageError("this needs a terminal: use --json, or `k2 status`")
    asyncio.run(_watch(base, service))


async def _once(base: str, service: ServiceSettings) -> Screen:
    async with httpx.AsyncClient(base_url=base, timeout=overview.SECONDS, **service.connection) as client:
        try:
            return await overview.read(client)
        except (httpx.HTTPError, ValueError) as error:
            raise ConfigError(f"no answer from {base}: {error}; start a platform, or correct --url") from None


async def _watch(base: str, service: ServiceSettings) -> None:
    async with httpx.AsyncClient(base_url=base, timeout=overview.SECONDS, **service.connection) as client:
        await Top(lambda: overview.read(client), base).run_async()
