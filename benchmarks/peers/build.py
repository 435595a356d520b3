"""What the peers need beside this project: an environment for the Python ones, classes for the Java ones."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from k2stream.settings import current

ROOT = Path(__file__).parents[2]
_PEERS = Path(__file__).parent
_SOURCES = {"kafka_streams": ("kafka_streams",), "flink": ("kafka_streams", "flink")}
"""The folders that a Java peer is built from: Flink takes what both have in common from Kafka Streams."""


class Missing(Exception):
    """A peer that cannot run here, and why."""


def python() -> Path:
    """The interpreter of the peers' own environment (dependency group `bench`), made on first use."""
    group = (ROOT / "pyproject.toml").read_text().partition("\nbench = [")[2].partition("]")[0]
    folder = _cache(f"venv-{_digest(group, sys.version)}")
    if not (folder / "ready").exists():
        print("installing the Python peers (dependency group `bench`)", flush=True)
        uv = Path(sys.executable).with_name("uv")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder])
        into: list[str | Path] = ["--python", folder / "bin" / "python"]
        _run([uv, "pip", "install", "--quiet", *into, "--group", "bench"])
        (folder / "ready").touch()
    return folder / "bin" / "python"


def class_path(peer: str) -> str:
    """The class path of a Java peer, built on first use. Missing without JDK and Maven."""
    for tool, what in (("java", "Java"), ("javac", "a JDK"), ("mvn", "Maven")):
        if shutil.which(tool) is None:
            raise Missing(f"{peer} is skipped: {what} ({tool}) is not on the PATH")
    folders = [_PEERS / name for name in _SOURCES[peer]]
    sources = sorted(path for each in folders for path in each.rglob("*") if path.suffix in (".java", ".xml"))
    sources.append(ROOT / "schemas" / "avro" / "trade.avsc")
    folder = _cache(f"{peer}-{_digest(*(path.read_text() for path in sources))}")
    if not (folder / "lib").exists():
        print(f"building the {peer} peer", flush=True)
        pom = _PEERS / peer / "pom.xml"
        _run(["mvn", "--quiet", "--batch-mode", f"-Dout={folder}", "-f", pom, "package"])
    return f"{folder / 'classes'}:{folder / 'lib' / '*'}"


def versions() -> dict[str, str]:
    """Of the peers that are installed by now."""
    try:
        listed = subprocess.run(
            [Path(sys.executable).with_name("uv"), "pip", "freeze", "--python", python()],
            check=True, capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
    except Missing:
        return {}
    named = dict(line.split("==") for line in listed if "==" in line)
    return {name: named[name] for name in ("quixstreams", "bytewax", "confluent-kafka") if name in named}


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Missing(f"{Path(command[0]).name} failed: {done.stdout.strip()[-600:]}")


def _cache(name: str) -> Path:
    folder = Path(current().local.cache_dir).expanduser() / "bench" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
