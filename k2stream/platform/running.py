"""Finding the platform that runs on a data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass

from k2stream.embedded import datadir
from k2stream.platform.platform import NOTE, local_settings
from k2stream.settings import Settings, replace


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that runs now: the settings that reach it, its workers' base URLs, what some refused."""

    settings: Settings
    urls: dict[str, str]
    refused: dict[str, str]


def find(settings: Settings) -> Running | None:
    """The platform running on the settings' data folder, None when there is none."""
    endpoints = datadir.running(settings.local.data_path)
    if endpoints is None:
        return None
    try:
        note = json.loads((settings.local.data_path / NOTE).read_text())
    except (FileNotFoundError, ValueError):
        note = {"urls": {}, "settings": {}, "refused": {}}
    reached = replace(local_settings(settings, endpoints), **note["settings"])
    return Running(reached, note["urls"], note["refused"])


def reached(settings: Settings) -> Settings:
    """The settings that reach the platform running on their data folder; as given when there is none."""
    running = find(settings)
    return running.settings if running else settings
