"""What a running platform writes down for others is where its workers are, and whole at any moment."""

import json
import socket
import sys
from pathlib import Path

import pytest

from k2stream.embedded.ports import HOST
from k2stream.embedded.process import Child
from k2stream.platform.addresses import ADDRESSES
from k2stream.platform.platform import Platform, WorkerSpec
from k2stream.settings import make

SPEC = WorkerSpec("normalize")


@pytest.fixture
def platform(tmp_path, monkeypatch):
    """One whose workers end at once."""
    spawn = Child.spawn

    async def ending(name, command, log, **options):
        return await spawn(name, [sys.executable, "-c", "pass"], log, **options)

    monkeypatch.setattr(Child, "spawn", ending)
    return Platform(make(data_dir=str(tmp_path)), None)


def written(folder):
    return json.loads((folder / ADDRESSES).read_text())


async def test_a_worker_that_is_started_again_elsewhere_is_found_there(platform, tmp_path):
    """Commands and the service went on asking the port of before, which another program had taken."""
    await platform._start_worker(SPEC)
    platform._save_addresses()
    before = written(tmp_path)["urls"]
    await platform.workers[SPEC.name].wait()
    with socket.socket() as other:
        other.bind((HOST, platform._ports[SPEC.name]))
        other.listen()
        await platform.heal()
        await platform.workers[SPEC.name].wait()
    assert platform.urls != before
    assert written(tmp_path)["urls"] == platform.urls


async def test_a_disk_that_fills_leaves_the_addresses_of_before(platform, tmp_path, monkeypatch):
    """The file was emptied first: commands then took their own settings for the platform's."""
    platform._save_addresses()
    before = written(tmp_path)
    write = Path.write_text

    def fill(path, text, *arguments, **options):
        write(path, text[: len(text) // 2], *arguments, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    platform.urls["hot"] = f"http://{HOST}:1"
    with pytest.raises(OSError, match="No space left"):
        platform._save_addresses()
    assert written(tmp_path) == before
