"""Settings of the local machine: its folders, and the embedded stack."""

from __future__ import annotations

from pathlib import Path

from k2stream.settings.kinds import Positive, Section


class LocalSettings(Section, frozen=True, kw_only=True):
    """Local folders, in which `~` is the user's home, and the heap of the embedded broker in MB."""

    data_dir: str = "k2-data"  # files of the embedded broker, registry, ClickHouse and Iceberg
    cache_dir: str = "~/.cache/k2stream"  # downloaded jars and AOT caches
    broker_heap_mb: Positive = 256

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return absolute(self.data_dir)


def absolute(folder: str) -> Path:
    """A folder as an absolute path, with `~` expanded."""
    return Path(folder).expanduser().absolute()
