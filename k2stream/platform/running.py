"""Finds the platform that runs on a data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass

from k2stream.embedded import datadir
from k2stream.exchanges import REGISTRY, VARIABLE, switched_on
from k2stream.model.errors import ConfigError
from k2stream.platform.addresses import ADDRESSES, local_settings
from k2stream.settings import Settings, replace


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
    try:
        saved = json.loads((settings.local.data_path / ADDRESSES).read_text())
    except (FileNotFoundError, ValueError):
        saved = {"urls": {}, "settings": {}, "refused": {}}
    theirs = switched_on({VARIABLE: saved["settings"].get("exchanges", settings.feeds.exchanges)})
    if set(theirs) != set(REGISTRY):
        raise ConfigError(
            f"the platform on {settings.local.data_path} has {', '.join(theirs)} on, this command "
            f"{', '.join(REGISTRY)}: set {VARIABLE} alike"
        )
    reached = replace(local_settings(settings, endpoints), **saved["settings"])
    return Running(reached, saved["urls"], saved["refused"], saved.get("service", ""))


def reached(settings: Settings) -> Settings:
    """The settings with the addresses of the platform that runs on their data folder, if there is one.

    Raises ConfigError as `find` does.
    """
    running = find(settings)
    return running.settings if running else settings
