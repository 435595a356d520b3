"""Which source is read: a worker over REST, or the stores directly."""

from __future__ import annotations

from typing import Literal, get_args

from k2stream.model.errors import ConfigError
from k2stream.platform.running import find
from k2stream.read.source import Source
from k2stream.settings import Settings

SourceName = Literal["auto", "rest", "lake", "iceberg"]


def open_source(settings: Settings, name: SourceName, url: str | None) -> Source:
    """The source of a name; see `read_candles`. Raises ConfigError when there is none."""
    from k2stream.read.lake import Lake  # each brings libraries that the other does not need
    from k2stream.read.rest import RestSource

    if name not in get_args(SourceName):
        raise ConfigError(f"source={name!r} must be one of {', '.join(get_args(SourceName))}")
    if url is not None:
        if name not in ("auto", "rest"):
            raise ConfigError(f"source={name!r} has no url: leave out one of them")
        return RestSource(url, settings.service.connection)
    running = find(settings)
    if running is not None and name in ("auto", "rest"):
        if running.service:
            return RestSource(running.service, running.settings.service.connection)
        if served := running.urls.get("candles"):
            return RestSource(served, running.settings.worker.web_connection)
    if name == "rest":
        raise ConfigError(
            f"nothing serves candles on {settings.local.data_path}: start it with `k2 up`, or give url="
        )
    return Lake(running.settings if running else settings, clickhouse=name != "iceberg")


def open_trades(settings: Settings, name: SourceName, url: str | None) -> Source:
    """As `open_source`; "auto" is the stores, which have the trades a second after they came."""
    return open_source(settings, "lake" if name == "auto" and url is None else name, url)
