"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from k2stream.embedded.jars import locked

_PEERS = Path(__file__).parent / "peers"
_JAVA = {"kafka_streams": ("kafka", "avro", "jackson"), "flink": ("flink", "flink.kafka")}
_PACKAGES = ("faust-streaming", "aiokafka", "msgspec", "numpy", "uvloop", "fastavro", "chdb")


def machine() -> dict[str, str | int]:
    """CPU, cores, memory, kernel and Python."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu,
        "cores": os.cpu_count() or 0,
        "memory_gb": round(int(memory) / (1 << 20)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of the packages K2 and the idiomatic Faust peer run on, the broker, and the machine's Java."""
    found = {name: version(name) for name in _PACKAGES}
    found["kafka broker"] = next(
        artifact.coordinate.rpartition(":")[2]
        for artifact in locked("kafka")
        if ":kafka_2" in artifact.coordinate
    )
    for peer, names in _JAVA.items():
        pom = (_PEERS / peer / "pom.xml").read_text()
        for name in names:
            found[f"java {name}"] = pom.partition(f"<{name}.version>")[2].partition("<")[0]
    if java := shutil.which("java"):
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
        found["java"] = said.splitlines()[0] if said else "?"
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
