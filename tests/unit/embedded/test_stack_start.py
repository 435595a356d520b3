import asyncio
import socket

import pytest

from k2stream.embedded import datadir
from k2stream.embedded.errors import StackError
from k2stream.embedded.ports import HOST
from k2stream.embedded.stack import Stack


def test_the_folder_keeps_its_ports_as_long_as_they_are_free(tmp_path):
    first = Stack(tmp_path, tmp_path)._choose_ports()
    datadir.remember(first)
    assert Stack(tmp_path, tmp_path)._choose_ports() == first
    with socket.socket() as server:
        server.bind((HOST, first.kafka_port))
        server.listen()
        second = Stack(tmp_path, tmp_path)._choose_ports()
    assert second.kafka_port != first.kafka_port
    assert second.registry_port == first.registry_port


def test_a_given_port_that_is_taken_is_an_error(tmp_path):
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        with pytest.raises(StackError, match="registry_port="):
            Stack(tmp_path, tmp_path, registry_port=server.getsockname()[1])._choose_ports()


async def test_a_part_that_does_not_start_stops_the_others_and_frees_the_folder(tmp_path, monkeypatch):
    from k2stream.embedded.process import Child

    spawned = asyncio.Event()

    class Sleeper:
        name, port = "sleeper", 1
        child = None

        async def start(self):
            Sleeper.child = await Child.spawn("sleeper", ["sleep", "600"], tmp_path / "logs" / "sleeper.log")
            spawned.set()
            return Sleeper.child

    class Broken:
        name, port = "broken", 2

        async def start(self):
            await spawned.wait()
            raise StackError("broken did not start")

    async def nothing(self):
        return [], tmp_path

    monkeypatch.setattr(Stack, "_fetch", nothing)
    monkeypatch.setattr(Stack, "_plan", lambda self, jars, home, guard: (Sleeper(), Broken(), Broken()))
    folder = tmp_path / "data"
    with pytest.raises(StackError, match="broken did not start"):
        async with Stack(folder, tmp_path):
            pass
    assert Sleeper.child and Sleeper.child.returncode is not None
    assert datadir.owner(folder) is None
