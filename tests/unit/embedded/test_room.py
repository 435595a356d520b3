"""Small and full disks, and slow starts, are said in one line."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from k2stream import cli
from k2stream.embedded import datadir, maven, room
from k2stream.embedded.errors import StackError
from k2stream.embedded.process import Child
from k2stream.embedded.waiting import announced
from k2stream.settings import make


def test_too_little_room_is_an_error_and_little_room_is_said(tmp_path):
    said: list[str] = []
    with pytest.raises(StackError, match=r"0\.5 GB free for .*: a platform needs at least 1 GB; free some"):
        room.check(tmp_path, room.GB // 2, said.append)
    assert said == []
    room.check(tmp_path, room.GB, said.append)
    assert [line.partition(":")[0] for line in said] == [f"1.0 GB free for {tmp_path}"]
    room.check(tmp_path, 5 * room.GB, said.append)
    assert len(said) == 1


def test_room_is_that_of_the_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    assert room.free_bytes(tmp_path / "not" / "yet") > 0
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(bytes(100_000))
    assert 100_000 <= room.used_bytes(tmp_path) < 200_000
    assert [room.amount(size) for size in (0, 3 << 20, room.GB)] == ["0 MB", "3 MB", "1.0 GB"]


def test_k2_up_starts_nothing_on_a_full_disk(tmp_path, monkeypatch, given_settings):
    given_settings(make(data_dir=str(tmp_path / "data")))
    monkeypatch.setattr(room, "free_bytes", lambda folder: 100 << 20)
    result = CliRunner().invoke(cli.main, ["up", "--plain"])
    assert result.exit_code == 1
    assert "a platform needs at least 1 GB" in result.output.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def test_reset_says_how_much_it_deletes_and_what_is_free_then(tmp_path, given_settings):
    folder = tmp_path / "data"
    with datadir.owned(folder):
        (folder / "kafka").mkdir()
    (folder / "kafka" / "log").write_bytes(bytes(3 << 20))
    given_settings(make(data_dir=str(folder)))
    asked = CliRunner().invoke(cli.main, ["reset"], input="n\n")
    assert f"tables in {folder} (3 MB)?" in asked.output
    done = CliRunner().invoke(cli.main, ["reset", "--yes"])
    assert done.exit_code == 0 and f"deleted 3 MB: {folder} is empty; its disk has " in done.output
    assert [path.name for path in folder.iterdir()] == [datadir.LOCK]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "the disk of .* is full: free some space, or set K2_DATA_DIR to another folder"),
        (errno.EROFS, "cannot write to .*Read-only file system.*: set K2_DATA_DIR to a folder you own"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, number, text):
    def fail(*_, **__):
        raise OSError(number, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", fail)
    with pytest.raises(StackError, match=text), datadir.owned(tmp_path / "data"):
        pass


def test_a_download_onto_a_full_disk_says_so(tmp_path, monkeypatch):
    def fail(*_):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("resolving failed") from error

    monkeypatch.setattr(maven, "_context", fail)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(StackError, match=r"the disk of .* is full: .* set K2_CACHE_DIR"):
        maven.download("a:b:jar:1", tmp_path)


async def test_a_process_that_ended_on_a_full_disk_says_so(tmp_path):
    code = "import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"
    child = await Child.spawn("kafka", [sys.executable, "-c", code], tmp_path / "kafka.log")
    await child.wait()
    assert child.exit_report().splitlines()[-1] == f"the disk is full: {room.ADVICE}"
    child = await Child.spawn("kafka", ["false"], tmp_path / "kafka.log")
    await child.wait()
    assert "full" not in child.exit_report()


async def test_a_slow_start_says_what_it_waits_for():
    said: list[str] = []
    spoken, waits = asyncio.Event(), ["kafka, registry"]

    def say(line):
        said.append(line)
        spoken.set()

    async with announced(lambda: waits[0], say, every=0.01):
        await spoken.wait()
    assert said[0].startswith("still waiting for kafka, registry, 0 s so far")
    before = len(said)
    waits[0] = ""
    asked = asyncio.Event()

    def nothing():
        asked.set()
        return waits[0]

    async with announced(nothing, say, every=0.001):
        await asked.wait()
    assert len(said) == before


def test_a_small_file_system_is_said_before_anything_is_written(tmp_path):
    """A real one: the folder's own disk is looked at, not that above it."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "k2-small", small], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a tmpfs can be mounted by root only")
    try:
        free = room.free_bytes(small / "data")
        assert free <= 64 << 10
        with pytest.raises(StackError, match="a platform needs at least"):
            room.check(small / "data", free, print)
        with pytest.raises(StackError, match=r"the disk of .* is full"), room.writing(small, "K2_DATA_DIR"):
            (small / "file").write_bytes(bytes(128 << 10))
    finally:
        subprocess.run(["umount", small], check=True)


def test_files_that_go_while_a_folder_is_measured_are_left_out(tmp_path, monkeypatch):
    """ClickHouse renames its parts: `k2 reset` on a running platform ended with a traceback."""
    (tmp_path / "kept").write_bytes(b"x" * 100_000)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "gone").write_bytes(b"x" * 100_000)
    real = os.walk

    def walk(folder):
        found = list(real(folder))
        shutil.rmtree(tmp_path / "part")
        return found

    monkeypatch.setattr("os.walk", walk)
    assert 100_000 <= room.used_bytes(tmp_path) < 200_000
