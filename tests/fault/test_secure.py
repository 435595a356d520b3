"""The whole demo behind TLS and passwords: no difference, and no secret where others may read it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from k2stream.embedded.guard import StackGuard
from k2stream.settings.tls import Tls, client_context

pytestmark = pytest.mark.fault

SECONDS, RATE = 60, 200
GIVEN = {
    "K2_REGISTRY_PASSWORD": "hush-registry-7f3a",
    "K2_ICEBERG_S3_SECRET_ACCESS_KEY": "hush-bucket-91bc",
    "K2_SERVICE_CLIENT_KEY": "hush-client-02de",
}
"""Secrets of the user, which the stack's own are added to."""


def environment(folder: Path) -> dict[str, str]:
    """Every secret in a file of its own."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("K2_") or "CACHE" in key}
    for name, value in GIVEN.items():
        path = folder / name
        path.write_text(value)
        found[f"{name}_FILE"] = str(path)
    return found | {
        "K2_DATA_DIR": str(folder / "data"),
        "K2_REGISTRY_USERNAME": "k2",
        "K2_ICEBERG_S3_ACCESS_KEY_ID": "k2",
        "K2_SERVICE_KEYS": sha256(GIVEN["K2_SERVICE_CLIENT_KEY"].encode()).hexdigest(),
        "K2_LOG_LEVEL": "debug",
    }


def k2(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k2stream", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def processes(folder: Path) -> dict[str, tuple[str, str]]:
    """Command line and environment of each process of the platform on a folder, by its id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line, environ = (
                (place / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")
            )
        except OSError:
            continue
        if str(folder) in environ and int(place.name) != os.getpid():
            found[place.name] = line, environ
    return found


def with_secrets(texts: dict[str, str], secrets: list[str]) -> list[str]:
    """Names of the texts that contain one."""
    return [name for name, text in texts.items() if any(secret in text for secret in secrets)]


def test_the_whole_demo_behind_tls_and_passwords_has_no_difference(tmp_path):
    (tmp_path / "other").write_text("loud")
    env, outcome, data = environment(tmp_path), tmp_path / "outcome.json", tmp_path / "data"
    options = ["--secure", "--keep", "--seconds", str(SECONDS), "--rate", str(RATE), "--json", str(outcome)]
    said = (tmp_path / "said.log").open("w+")
    demo = subprocess.Popen(
        [sys.executable, "-m", "k2stream", "demo", *options], env=env, stdout=said, stderr=said
    )
    try:
        deadline = time.monotonic() + 240
        while not ready(data):
            assert demo.poll() is None and time.monotonic() < deadline, Path(said.name).read_text()
            time.sleep(0.5)
        guard = StackGuard.of(data)
        secrets = [*GIVEN.values(), *(guard.secret(name) for name in guard.secret_files)]
        running = processes(tmp_path)
        shown = k2("settings", env=env), k2("status", "--json", env=env), k2("top", "--json", env=env)
        stranger = k2("top", "--json", env={**env, "K2_SERVICE_CLIENT_KEY_FILE": str(tmp_path / "other")})
        crashed = crash(env)
        assert demo.wait(400) == 0, Path(said.name).read_text()
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            demo.wait(30)
    found = json.loads(outcome.read_text())
    assert found["ok"] and found["differences"] == 0 and found["candles"] > 0
    assert all(answer.returncode == 0 for answer in shown), [answer.stderr for answer in shown]
    assert stranger.returncode == 1
    assert len(running) >= 10
    assert not with_secrets({pid: line for pid, (line, _) in running.items()}, secrets), "a command line"
    assert not with_secrets({pid: environ for pid, (_, environ) in running.items()}, secrets), (
        "an environment"
    )
    texts = {str(path): path.read_text(errors="replace") for path in (data / "logs").iterdir()}
    texts |= {"said": Path(said.name).read_text(), "outcome": outcome.read_text()}
    texts |= {"notes": "".join(path.read_text() for path in data.glob("*.json"))}
    answers = enumerate((*shown, stranger))
    texts |= {f"answer {number}": answer.stdout + answer.stderr for number, answer in answers}
    assert "Traceback" in crashed.stderr and "hush" not in crashed.stderr
    texts |= {"crashed": crashed.stdout + crashed.stderr}
    assert "DEBUG" in "".join(texts.values()).upper()
    assert not with_secrets(texts, secrets), "a text"
    readable = [path for path in guard.folder.iterdir() if path.stat().st_mode & 0o077]
    assert not readable and not guard.folder.stat().st_mode & 0o077


CRASHING = """
from k2stream.clickhouse.destination import connect
from k2stream.iceberg.catalog import open_catalog
from k2stream.platform.running import reached
from k2stream.settings import current

settings = reached(current())
client, catalog = connect(settings.clickhouse), open_catalog(settings.iceberg)
client.execute("SELECT 1")
raise RuntimeError(settings, settings.kafka.registry, client, catalog, client.connection)
"""


def crash(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A program that has all settings and clients, and ends with a traceback of them."""
    command = [sys.executable, "-X", "dev", "-c", CRASHING]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def ready(data: Path) -> bool:
    """Whether every worker of the platform on a folder is ready."""
    guard, workers = StackGuard.of(data), data / "workers.json"
    if not workers.exists():
        return False
    verify = client_context(Tls(str(guard.ca)))
    urls = json.loads(workers.read_text())["urls"]
    assert all(url.startswith("https://") for url in urls.values())
    try:
        answers = [httpx.get(f"{url}/health", timeout=5, verify=verify) for url in urls.values()]
    except httpx.TransportError:
        return False
    return all(answer.status_code == httpx.codes.OK for answer in answers)
