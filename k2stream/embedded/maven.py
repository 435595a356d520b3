"""Resolves and downloads Maven artifacts with jgo's Python resolver, without Maven itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from k2stream.embedded import room
from k2stream.embedded.errors import StackError
from k2stream.embedded.progress import Progress

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA = "org.apache.kafka:kafka_2.13:jar:4.1.0"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:jar:2.24.3"  # not a dependency in Kafka's POM
REGISTRY = "io.apicurio:apicurio-registry-app:tar.gz:all:3.0.9"
# Dependencies that a plaintext KRaft node and its storage tool never load.
UNUSED = {
    "commons-beanutils",
    "commons-collections",
    "commons-digester",
    "commons-logging",
    "jackson-dataformat-csv",
    "jackson-dataformat-yaml",
    "jose4j",
    "jspecify",
    "scala-reflect",
    "snakeyaml",
}

_ATTEMPTS = 3
_TIMEOUT = 30  # seconds without a byte


def download(coordinate: str, repository: Path, progress: Progress | None = None) -> Path:
    """Download one `group:artifact:packaging[:classifier]:version` to the local repository folder.

    `progress` is called with the file's name and size, and counts its bytes. `requests` reads proxies and
    certificates from the environment. Raises StackError after three failed attempts.
    """
    import requests

    group, name, packaging, *classifier, version = coordinate.split(":")
    for attempt in range(_ATTEMPTS):
        try:
            component = _context(repository, progress).project(group, name).at_version(version)
            artifact = component.artifact(classifier=classifier[0] if classifier else "", packaging=packaging)
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)  # part of an earlier attempt
            return Path(artifact.resolve())
        except (requests.RequestException, OSError, RuntimeError) as error:
            failure = error
            time.sleep(attempt)
    if room.is_full(failure):
        raise room.full(repository, "K2_CACHE_DIR")
    raise StackError(
        f"{coordinate} cannot be downloaded, {_ATTEMPTS} attempts: {failure}; "
        "the first start of the embedded stack needs a network, or a filled K2_CACHE_DIR"
    )


def resolve(repository: Path) -> dict[str, list[str]]:
    """Coordinates that broker and registry need, by group, without UNUSED."""
    from jgo.maven import Dependency, PythonResolver

    group, name, packaging, version = KAFKA.split(":")
    root = _context(repository).project(group, name).at_version(version).artifact(packaging=packaging)
    _, dependencies = PythonResolver().resolve([Dependency(root, scope="compile")])
    needed = [
        f"{found.groupId}:{found.artifactId}:jar:{found.version}"
        for found in dependencies
        if found.scope in ("compile", "runtime") and found.artifactId not in UNUSED
    ]
    return {"kafka": [KAFKA, LOGGING, *needed], "registry": [REGISTRY]}


def _context(repository: Path, progress: Progress | None = None) -> MavenContext:
    from jgo.maven import MavenContext, PythonResolver

    resolver = PythonResolver(progress_callback=progress)
    return MavenContext(repo_cache=repository, resolver=resolver, timeout=_TIMEOUT)
