import hashlib
import re
import tarfile
import threading
import time

import pytest

from k2stream.embedded import jars, maven
from k2stream.embedded import progress as progress_of
from k2stream.embedded.errors import StackError
from k2stream.embedded.jars import Artifact
from k2stream.embedded.progress import shown

COORDINATE = "org.example:thing:jar:1.0"
CONTENT = b"bytecode"


def artifact(content=CONTENT, coordinate=COORDINATE):
    return Artifact(coordinate, hashlib.sha256(content).hexdigest())


@pytest.fixture
def served(monkeypatch):
    """What the repository serves, by coordinate; and what was asked of it."""
    files = {COORDINATE: CONTENT}
    asked = []

    def download(coordinate, repository, progress=None):
        asked.append(coordinate)
        path = repository / Artifact(coordinate, "").filename
        path.write_bytes(files[coordinate])
        return path

    monkeypatch.setattr(maven, "download", download)
    return files, asked


def test_the_lock_holds_sums_and_coordinates_only():
    for group, size in (("kafka", 36), ("registry", 1)):
        artifacts = jars.locked(group)
        assert len(artifacts) == size
        assert all(re.fullmatch("[0-9a-f]{64}", each.sha256) for each in artifacts)
        assert all(3 <= each.coordinate.count(":") <= 4 for each in artifacts)
    assert "//" not in jars.LOCK.read_text()


def test_the_lock_holds_what_is_asked_for():
    names = {each.coordinate for group in ("kafka", "registry") for each in jars.locked(group)}
    assert {maven.KAFKA, maven.LOGGING, maven.REGISTRY} <= names
    assert not {name.split(":")[1] for name in names} & maven.UNUSED


def test_file_names_are_mavens():
    assert artifact().filename == "thing-1.0.jar"
    assert artifact(coordinate="g:app:tar.gz:all:3.0.9").filename == "app-3.0.9-all.tar.gz"


def test_a_file_is_fetched_once(tmp_path, served):
    _, asked = served
    for _ in range(2):
        (path,) = jars.fetch([artifact()], "a thing", tmp_path, lambda text: None)
        assert path.read_bytes() == CONTENT
    assert asked == [COORDINATE]
    assert not list(tmp_path.glob("fetch-*"))


def test_a_damaged_file_is_fetched_again(tmp_path, served):
    (path,) = jars.fetch([artifact()], "a thing", tmp_path, lambda text: None)
    path.write_bytes(CONTENT[:-1])
    jars.fetch([artifact()], "a thing", tmp_path, lambda text: None)
    assert path.read_bytes() == CONTENT


def test_another_file_than_locked_is_refused(tmp_path, served):
    files, _ = served
    files[COORDINATE] = b"malware"
    with pytest.raises(StackError, match=r"thing-1.0.jar was downloaded with sha256 .*jars.lock says"):
        jars.fetch([artifact()], "a thing", tmp_path, lambda text: None)
    assert not list((tmp_path / "jars").iterdir())


def test_two_fetches_at_once_download_once(tmp_path, served):
    _, asked = served
    threads = [
        threading.Thread(target=jars.fetch, args=([artifact()], "a thing", tmp_path)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [COORDINATE]


def test_the_registry_is_unpacked_once(tmp_path, served, monkeypatch):
    files, asked = served
    packed = tmp_path / "packed.tar.gz"
    (tmp_path / "app-runner.jar").write_bytes(CONTENT)
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(tmp_path / "app-runner.jar", "app-runner.jar")
    coordinate = "org.example:app:tar.gz:all:1"
    files[coordinate] = packed.read_bytes()
    monkeypatch.setattr(jars, "locked", lambda group: (artifact(packed.read_bytes(), coordinate),))
    for _ in range(2):
        home = jars.registry_home(tmp_path / "cache", lambda text: None)
        assert (home / "app-runner.jar").read_bytes() == CONTENT
    assert asked == [coordinate]


def test_an_unwritable_cache_names_the_setting(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="K2_CACHE_DIR"):
        jars.fetch([artifact()], "a thing", tmp_path / "file", lambda text: None)


def test_a_failed_download_is_told_in_one_line(tmp_path, monkeypatch):
    requests = pytest.importorskip("requests")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "request", refuse)
    with pytest.raises(
        StackError, match=r"org.example:thing:jar:1.0 cannot be downloaded.*no route.*network"
    ):
        maven.download(COORDINATE, tmp_path)


def test_an_interrupted_download_ends():
    interrupted = threading.Event()
    lines = []
    with shown("a thing", 2, lines.append, interrupted) as progress, progress("thing-1.0.jar", 8) as count:
        count(4)
        interrupted.set()
        with pytest.raises(StackError, match=r"thing-1\.0\.jar was interrupted"):
            count(4)
    assert lines == ["downloading a thing, once: 2 files"]


def test_without_a_terminal_lines_say_how_much_is_there(monkeypatch):
    monkeypatch.setattr(progress_of, "_LINE_EVERY", 0.0)
    lines = []
    with shown("a thing", 2, lines.append, None) as progress:
        with progress("thing-1.0.jar", 4_000_000) as count:
            count(4_000_000)
        with progress("other-1.0.jar", 3_000_000) as count:
            count(3_000_000)
    assert lines == [
        "downloading a thing, once: 2 files",
        "  4 MB, 0 of 2 files are complete",
        "  7 MB, 1 of 2 files are complete",
    ]
