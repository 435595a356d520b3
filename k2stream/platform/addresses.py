"""What a running platform writes into its data folder for others, and how they reach it.

Commands that only find a platform take no more than this: what it is started with need not be installed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k2stream.embedded.endpoints import Endpoints
from k2stream.embedded.guard import StackGuard
from k2stream.settings import Settings, replace, with_secret_files

ADDRESSES = "workers.json"
"""File with the addresses of the workers and of the service, shared settings and refusals."""

SERVICE_PORT = 6066
"""Where the service listens unless the port is taken, or K2_SERVICE_PORT says otherwise."""


def local_settings(settings: Settings, endpoints: Endpoints) -> Settings:
    """The settings with the addresses of an embedded stack, and what its guard asks for."""
    found = replace(
        settings,
        kafka_bootstrap=endpoints.bootstrap,
        registry_url=endpoints.registry_url,
        clickhouse_host=endpoints.clickhouse_host,
        clickhouse_port=endpoints.clickhouse_port,
    )
    if not endpoints.secure:
        return found
    guard = StackGuard.of(endpoints.data_dir)
    return with_secret_files(replace(found, **guard.settings), guard.secret_files)


def save(folder: Path, found: Mapping[str, Any]) -> None:
    """Write the file of addresses: who reads it meanwhile finds the one before, whole."""
    fresh = (folder / ADDRESSES).with_suffix(".tmp")
    fresh.write_text(json.dumps({**found, "process": os.getpid()}, indent=1) + "\n")
    fresh.replace(folder / ADDRESSES)
