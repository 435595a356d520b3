"""Finding the platform that runs on a data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass

from k2stream.embedded import datadir
from k2stream.exchanges import REGISTRY, VARIABLE, switched_on
from k2stream.model.errors import ConfigError
from k2stream.platform.platform import NOTE, local_settings
from k2stream.settings import Settings, replace


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that runs now: the settings that reach it, its workers' base URLs, what some refused."""

    settings: Settings
    urls: dict[str, str]
    refused: dict[str, str]


def find(settings: Settings) -> Running | None:
    """The platform running on the settings' data folder, None when there is none.

    Raises ConfigError where it has other exchanges than this process.
    """
    endpoints = datadir.running(settings.local.data_path)
    if endpoints is None:
        return None
    try:
        note = json.loads((settings.local.data_path / NOTE).read_text())
    except (FileNotFoundError, ValueError):
        note = {"urls": {}, "settings": {}, "refused": {}}
    theirs = switched_on({VARIABLE: note["settings"].get("exchanges", settings.feeds.exchanges)})
    if set(theirs) != set(REGISTRY):
        raise ConfigError(
            f"the platform on {settings.local.data_path} has {', '.join(theirs)} on, this command "
            f"{', '.join(REGISTRY)}: set {VARIABLE} alike"
        )
    reached = replace(local_settings(settings, endpoints), **note["settings"])
    return Running(reached, note["urls"], note["refused"])


def reached(settings: Settings) -> Settings:
    """The settings that reach the platform running on their data folder; as given when there is none."""
    running = find(settings)
    return running.settings if running else settings
