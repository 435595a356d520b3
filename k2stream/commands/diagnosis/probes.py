"""What `k2 doctor` measures on this machine and its network; each error is one line of text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from k2stream.clickhouse.asking import asking
from k2stream.commands.failures import as_click
from k2stream.iceberg.catalog import existing_catalog
from k2stream.kafka import admin
from k2stream.settings import Settings

SECONDS = 5.0
_MEMORY = Path("/proc/meminfo")


def available_memory() -> int | None:
    """Bytes that programs may still take; None where the system does not say."""
    if not _MEMORY.exists():
        return None
    fields = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


async def exchanges(urls: Mapping[str, str]) -> dict[str, tuple[str, float | None]]:
    """Of each exchange an error, "" if it answers, and this clock minus its own in seconds, if it says."""
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        found = await asyncio.gather(*(_exchange(client, url) for url in urls.values()))
    return dict(zip(urls, found, strict=True))


async def _exchange(client: httpx.AsyncClient, url: str) -> tuple[str, float | None]:
    asked = time.time()
    try:
        answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return line(error), None
    try:
        date = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:  # none, or none that can be read
        return "", None
    # Its date is cut to whole seconds: on average, it was half a second later.
    return "", (asked + time.time()) / 2 - date.replace(tzinfo=date.tzinfo or UTC).timestamp() - 0.5


async def broker(settings: Settings) -> str:
    """Why the broker cannot be used; "" if it can."""
    try:
        async with asyncio.timeout(SECONDS), admin.connected(settings.kafka):
            return ""
    except Exception as error:  # whatever it is, it is what is said of the broker
        return line(error)


async def registry(settings: Settings) -> str:
    """Why the schema registry cannot be used; "" if it can."""
    try:
        async with httpx.AsyncClient(timeout=SECONDS, **settings.kafka.registry.connection) as client:
            url = settings.kafka.registry_url.rstrip("/")
            (await client.get(f"{url}/subjects")).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return line(error)
    return ""


def clickhouse(settings: Settings) -> str:
    """Why ClickHouse cannot be used; "" if it can."""
    try:
        with asking(settings.clickhouse) as client:
            client.execute("SELECT 1")
    except Exception as error:
        return line(error)
    return ""


def catalog(settings: Settings) -> str:
    """Why the Iceberg catalog cannot be used; "" if it can."""
    try:
        existing_catalog(settings.iceberg).list_namespaces()
    except Exception as error:
        return line(error)
    return ""


def line(error: Exception) -> str:
    """An error as one line without its fix, which the doctor has."""
    shown = as_click(error)
    text = shown.format_message() if shown else str(error) or type(error).__name__
    return " ".join(text.split()).partition("; ")[0][:160]
