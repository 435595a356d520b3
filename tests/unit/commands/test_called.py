"""Commands that messages name can be typed as they stand."""

import sys

import pytest

from k2stream.commands import called


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A clone with its own `k2`, which is the working folder."""
    made = tmp_path / ".venv" / "bin" / "k2"
    made.parent.mkdir(parents=True)
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [".venv/bin/k2", "up"])
    return made


def test_a_script_that_the_shell_does_not_find_is_named_by_its_path(script):
    assert called.program() == ".venv/bin/k2"
    text = called.as_called("nothing runs: start it with `k2 up`, or `k2 demo`; k2-data is a folder")
    assert (
        text == "nothing runs: start it with `.venv/bin/k2 up`, or `.venv/bin/k2 demo`; k2-data is a folder"
    )


def test_a_script_that_the_shell_finds_is_named_as_it_is(script, monkeypatch):
    monkeypatch.setenv("PATH", str(script.parent))
    assert called.program() == "k2"
    assert called.as_called("see `k2 up`") == "see `k2 up`"


def test_another_k2_on_the_path_is_not_taken_for_this_one(script, tmp_path, monkeypatch):
    other = tmp_path / "bin" / "k2"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert called.program() == ".venv/bin/k2"


def test_from_another_folder_the_path_is_whole(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.chdir("/")
    assert called.program() == str(script).removeprefix("/")


def test_as_a_module_it_is_the_script_beside_python(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/k2stream/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    assert called.program() == ".venv/bin/k2"


def test_without_a_script_it_is_the_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/pytest"])
    assert called.program() == "k2"
