"""Settings of one machine: its folders, and the embedded stack in them."""

from __future__ import annotations

from pathlib import Path

from k2stream.settings.kinds import Positive, Section


class LocalSettings(Section, frozen=True, kw_only=True):
    """Folders of this machine, `~` for the user's home; the heap of its embedded broker in MB."""

    data_dir: str = "k2-data"  # embedded stack: broker, registry, ClickHouse and Iceberg files
    cache_dir: str = "~/.cache/k2stream"  # downloaded jars and AOT caches
    broker_heap_mb: Positive = 256

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return absolute(self.data_dir)


def absolute(folder: str) -> Path:
    """A folder as given by a person, absolute."""
    return Path(folder).expanduser().absolute()
