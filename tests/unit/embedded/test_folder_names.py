"""The parts of the stack run in their folders and name what is below them from there."""

from pathlib import Path

import pytest

from k2stream.embedded.clickhouse.__main__ import _reachable
from k2stream.embedded.kafka import Broker
from k2stream.embedded.registry import Registry

NAME = "a?b #1 100% 'x' ü,z;=&"


def test_no_name_of_a_data_folder_gets_into_a_configuration_or_a_url(tmp_path):
    """A comma made two log folders of Kafka's one, a semicolon a setting of H2's."""
    folder, home = tmp_path / NAME / "kafka", tmp_path / "home"
    home.mkdir()
    (home / "app-runner.jar").touch()
    broker = Broker(folder=folder, port=1, jars=(), cache=tmp_path, log=tmp_path / "log")
    broker._configure()
    assert NAME not in (folder / "server.properties").read_text()
    registry = Registry(folder=tmp_path / NAME, port=1, home=home, cache=tmp_path, log=tmp_path / "log")
    for program in (broker._program(), registry._program()):
        assert program.folder is not None and NAME in str(program.folder)
        named = [part for part in (*program.flags, *program.main) if NAME in part]
        assert all(part.startswith("-Djava.io.tmpdir=") for part in named)


@pytest.mark.parametrize(("parent", "expected"), [("plain", None), (NAME, Path("clickhouse"))])
def test_the_engine_is_given_a_name_without_a_question_mark(tmp_path, monkeypatch, parent, expected):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / parent / "clickhouse"
    assert _reachable(folder) == (expected or folder)
