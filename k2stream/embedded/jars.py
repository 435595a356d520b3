"""The jars of the embedded broker and registry: downloaded once from Maven, verified by sha256.

`python -m k2stream.embedded.jars` downloads them ahead of time; `--relock` rewrites jars.lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from k2stream.embedded import maven, room
from k2stream.embedded.errors import StackError
from k2stream.embedded.progress import shown

LOCK = Path(__file__).with_suffix(".lock")
_PARALLEL = 8


@dataclass(frozen=True)
class Artifact:
    """One locked file: `group:artifact:packaging[:classifier]:version` and its sha256 in hexadecimal."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """File name in a Maven repository."""
        _, artifact, packaging, *classifier, version = self.coordinate.split(":")
        return "-".join([artifact, version, *classifier]) + "." + packaging


def locked(group: str, lock: Path = LOCK) -> tuple[Artifact, ...]:
    """The artifacts of a group (`kafka` or `registry`), in lock file order."""
    return tuple(Artifact(name, digest) for name, digest in json.loads(lock.read_text())[group].items())


def kafka_jars(
    cache: Path, say: Callable[[str], None] = print, interrupted: Event | None = None
) -> list[Path]:
    """The broker's class path; missing or damaged jars are downloaded to `cache`.

    Raises StackError when a download fails or a checksum differs.
    """
    return fetch(locked("kafka"), "the Kafka broker", cache, say, interrupted)


def registry_home(cache: Path, say: Callable[[str], None] = print, interrupted: Event | None = None) -> Path:
    """The folder of the unpacked registry, downloaded to `cache` if missing.

    Raises StackError when the download fails or its checksum differs.
    """
    (archive,) = locked("registry")
    home = cache / f"registry-{archive.sha256[:12]}"
    if not home.exists():
        with _exclusive(cache) as scratch:
            if not home.exists():
                (packed,) = _download([archive], "the schema registry", scratch, say, interrupted)
                with tarfile.open(packed) as tar:
                    tar.extractall(scratch / "home", filter="data")
                (scratch / "home").rename(home)
    return home


def fetch(
    artifacts: Sequence[Artifact],
    what: str,
    cache: Path,
    say: Callable[[str], None] = print,
    interrupted: Event | None = None,
) -> list[Path]:
    """Paths of the artifacts of `what` in `cache/jars`, each verified; several processes may call it at once.

    A file with a wrong checksum is downloaded again. Raises StackError when that fails, or soon after
    `interrupted` is set.
    """
    folder = cache / "jars"
    paths = [folder / artifact.filename for artifact in artifacts]
    if _damaged(artifacts, folder):
        with _exclusive(cache) as scratch:
            missing = _damaged(artifacts, folder)  # another process may just have fetched them
            folder.mkdir(exist_ok=True)
            for path in _download(missing, what, scratch, say, interrupted):
                path.replace(folder / path.name)
    return paths


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(artifacts: Sequence[Artifact], folder: Path) -> list[Artifact]:
    """The artifacts that are missing in the folder, or have a wrong checksum."""

    def sound(artifact: Artifact) -> bool:
        path = folder / artifact.filename
        return path.exists() and sha256(path) == artifact.sha256

    return [artifact for artifact in artifacts if not sound(artifact)]


def _download(
    artifacts: Sequence[Artifact],
    what: str,
    scratch: Path,
    say: Callable[[str], None],
    interrupted: Event | None,
) -> list[Path]:
    if not artifacts:
        return []

    def one(artifact: Artifact) -> Path:
        path = maven.download(artifact.coordinate, scratch, progress)
        found = sha256(path)
        if found != artifact.sha256:
            raise StackError(
                f"{artifact.filename} was downloaded with sha256 {found}, "
                f"{LOCK.name} says {artifact.sha256}: try again"
            )
        return path

    with shown(what, len(artifacts), say, interrupted) as progress, ThreadPoolExecutor(_PARALLEL) as pool:
        try:
            return list(pool.map(one, artifacts))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _exclusive(cache: Path) -> Iterator[Path]:
    """Lock the cache against other processes; yields a scratch folder on the same file system."""
    with room.writing(cache, "K2_CACHE_DIR"):
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "fetch.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache.glob("fetch-*"):  # left by a process killed while downloading
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as scratch:
            yield Path(scratch)


def relock(lock: Path = LOCK) -> None:
    """Resolve the coordinates of maven.py and write the lock file."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        groups = {
            group: {
                coordinate: sha256(maven.download(coordinate, scratch)) for coordinate in sorted(coordinates)
            }
            for group, coordinates in maven.resolve(scratch).items()
        }
    lock.write_text(json.dumps(groups, indent=1) + "\n")


if __name__ == "__main__":
    import sys

    from k2stream.settings import load

    if sys.argv[1:] == ["--relock"]:
        relock()
    else:
        root = Path(load().local.cache_dir).expanduser()
        kafka_jars(root)
        registry_home(root)
