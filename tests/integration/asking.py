"""Asks a platform that runs in processes of its own: by command, and by the addresses of its workers."""

import json
import os
import subprocess
import sys

import httpx

from k2stream import settings
from k2stream.iceberg.catalog import open_catalog
from tests.integration.partitions import TWO

PARTITIONS = settings.environment(settings.make(**TWO))


def k2(*arguments, **options):
    """A command beside it; `env` has its settings."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("K2_") or "CACHE" in key}
    environ |= {key: str(value) for key, value in options.pop("env", {}).items()}
    command = [sys.executable, "-m", "k2stream", *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, **options)


def urls(folder):
    """The addresses of the workers, by name."""
    return json.loads((folder / "workers.json").read_text())["urls"]


def service(folder):
    """The address for clients."""
    return json.loads((folder / "workers.json").read_text())["service"]


def maintain(folder, *names):
    """The result of maintaining cold tables (all without names), and its entries by table and step."""
    chosen = [option for name in names for option in ("--table", name)]
    env = {**PARTITIONS, "K2_DATA_DIR": folder, "K2_COLD_COMMIT_SECONDS": 30}
    result = k2("cold", "maintain", "--json", *chosen, env=env, timeout=300)
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    return result, {(entry["table"], entry["step"]): entry for entry in entries}


def has_rows(folder, names):
    """Whether all tables have rows, now that what the cold worker holds is committed."""
    httpx.post(f"{urls(folder)['cold']}/cold/flush", timeout=60).raise_for_status()
    catalog = open_catalog(settings.make(data_dir=str(folder)).iceberg)
    return all(catalog.load_table(name).current_snapshot() for name in names)
