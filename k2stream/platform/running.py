"""Finds the platform that runs on a data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2stream.embedded import datadir
from k2stream.embedded.errors import StackError
from k2stream.exchanges import REGISTRY, VARIABLE, switched_on
from k2stream.model.errors import ConfigError
from k2stream.platform.addresses import ADDRESSES, local_settings
from k2stream.settings import Settings, replace

_USUAL = Settings()
DEFAULTS = (_USUAL.kafka.bootstrap, f"{_USUAL.clickhouse.host}:{_USUAL.clickhouse.port}")
"""Addresses of servers that nobody chose."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running platform: settings with its addresses, base URLs and refusals of its workers by name.

    `service` is the base URL of REST and streams for clients.
    """

    settings: Settings
    urls: dict[str, str]
    refused: dict[str, str]
    service: str = ""


def find(settings: Settings) -> Running | None:
    """The platform that runs on the settings' data folder; None if there is none.

    Raises ConfigError if it has other exchanges enabled than this process.
    """
    endpoints = datadir.running(settings.local.data_path)
    if endpoints is None:
        return None
    saved, process = _saved(settings), datadir.owner(settings.local.data_path)
    if saved.get("process", process) != process:  # it has not started its workers yet
        saved |= {"urls": {}, "refused": {}, "service": ""}
    reached = replace(local_settings(settings, endpoints), **saved["settings"])
    return Running(reached, saved["urls"], saved["refused"], saved.get("service", ""))


def refuse_another(settings: Settings) -> None:
    """Raises StackError, with the address of its page, if a platform runs on the settings' data folder."""
    folder = settings.local.data_path
    process = datadir.owner(folder)
    if process is None:
        return
    service = _written(folder).get("service", "")
    page = f"; its page: {service}/" if service else ""
    raise StackError(
        f"a platform runs on {folder} (process {process}){page}; stop it first, or set K2_DATA_DIR to "
        "another folder"
    )


def not_started(settings: Settings, address: str) -> Path | None:
    """The settings' data folder, if no platform runs on it and a server's address is the default."""
    folder = settings.local.data_path
    return folder if address in DEFAULTS and datadir.owner(folder) is None else None


def stopped(settings: Settings) -> Settings | None:
    """The settings of the platform that ran last on the settings' data folder; None if there was none.

    The addresses of its stack are chosen when it starts again. Raises ConfigError as `find` does.
    """
    if datadir.remembered(settings.local.data_path) is None:
        return None
    return replace(settings, **_saved(settings)["settings"])


def _saved(settings: Settings) -> dict[str, Any]:
    folder = settings.local.data_path
    saved = _written(folder)
    theirs = switched_on({VARIABLE: saved["settings"].get("exchanges", settings.feeds.exchanges)})
    if set(theirs) != set(REGISTRY):
        raise ConfigError(
            f"the platform on {folder} has {', '.join(theirs)} on, this command {', '.join(REGISTRY)}: "
            f"set {VARIABLE} alike"
        )
    return saved


def _written(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / ADDRESSES).read_text())
    except (FileNotFoundError, ValueError):
        return {"urls": {}, "settings": {}, "refused": {}}
    return found


def reached(settings: Settings) -> Settings:
    """The settings with the addresses of the platform that runs on their data folder, if there is one.

    Raises ConfigError as `find` does.
    """
    running = find(settings)
    return running.settings if running else settings
