"""`k2 doctor`: whether this machine, the servers and the exchanges are as K2 needs them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from dataclasses import asdict

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k2stream.commands.called import as_called
from k2stream.commands.diagnosis import checks, probes
from k2stream.commands.diagnosis.checks import Diagnosis
from k2stream.commands.exit_codes import FAILED
from k2stream.commands.output import Printer, printed
from k2stream.embedded.ports import HOST, is_free
from k2stream.embedded.room import free_bytes
from k2stream.platform.addresses import SERVICE_PORT
from k2stream.platform.running import Running, find
from k2stream.settings import Settings, current
from k2stream.topics import EXCHANGES

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command()
@printed
def doctor(*, out: Printer) -> None:
    """Check Python, disk, memory, ports, clock, exchanges, broker, registry, ClickHouse and catalog.

    Each line is ok, warn or fail, with its fix; nothing needs to run. Exits 1 when a line says fail.
    """
    for library in ("k2stream", "clickhouse_driver", "asyncio"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    running = find(current())
    found = asyncio.run(examine(running.settings if running else current(), running))
    failed = any(item.level == "fail" for item in found)
    out.show({"ok": not failed, "checks": list(map(asdict, found))}, _shown(found))
    if failed:
        raise SystemExit(FAILED)


async def examine(settings: Settings, running: Running | None) -> list[Diagnosis]:
    """Measure everything, and say what it means."""
    runs = running is not None
    folder = settings.local.data_path
    logs = str(folder / "logs")
    port = current().service.port or SERVICE_PORT
    urls = {name: settings.feeds.rest_urls[name] for name in EXCHANGES}
    answers, broker, registry, clickhouse, catalog = await asyncio.gather(
        probes.exchanges(urls),
        probes.broker(settings),
        probes.registry(settings),
        asyncio.to_thread(probes.clickhouse, settings),
        asyncio.to_thread(probes.catalog, settings),
    )
    simulated = runs and settings.feeds.simulated
    live = runs and not simulated
    played = {name for name, url in urls.items() if simulated and url.startswith(f"http://{HOST}:")}
    offsets = {
        name: offset for name, (_, offset) in answers.items() if offset is not None and name not in played
    }
    served = running is not None and running.service.endswith(f":{port}")
    clickhouse_at = f"{settings.clickhouse.host}:{settings.clickhouse.port}"
    return [
        checks.python(tuple(sys.version_info[:3])),
        checks.disk(str(folder), free_bytes(folder)),
        checks.memory(probes.available_memory()),
        checks.port(port, free=is_free(port), wanted=bool(current().service.port), served=served),
        *(
            checks.exchange(name, error, needed=live, simulated=name in played, logs=logs)
            for name, (error, _) in answers.items()
        ),
        checks.clock(offsets, simulated=simulated),
        *(
            checks.server(
                name, address, error, needed=runs or setting in os.environ, setting=setting, logs=logs
            )
            for name, address, error, setting in (
                ("broker", settings.kafka.bootstrap, broker, "K2_KAFKA_BOOTSTRAP"),
                ("schema registry", settings.kafka.registry_url, registry, "K2_REGISTRY_URL"),
                ("ClickHouse", clickhouse_at, clickhouse, "K2_CLICKHOUSE_HOST"),
            )
        ),
        checks.catalog(catalog, needed=runs or "K2_ICEBERG_CATALOG_URI" in os.environ, logs=logs),
    ]


def _shown(found: list[Diagnosis]) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for item in found:
        text = Text(as_called(item.text))
        if item.level != "ok":
            text.append(f"\n→ {as_called(item.fix)}", "dim")
        table.add_row(Text(item.level, _STYLES[item.level]), item.check, text)
    counts = Counter(item.level for item in found)
    return Group(table, Text(f"{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail"))
