"""`k2 up` beside a platform that runs already, or that does not start."""

import json
import os

import pytest
from click.testing import CliRunner

from k2stream.cli import main
from k2stream.embedded import datadir
from k2stream.embedded.errors import StackError
from k2stream.platform.addresses import ADDRESSES
from k2stream.platform.platform import Platform
from k2stream.settings import make


@pytest.fixture
def folder(tmp_path, given_settings):
    given_settings(make(data_dir=str(tmp_path / "data")))
    return tmp_path / "data"


def test_the_one_that_runs_is_named_with_its_page(folder):
    with datadir.owned(folder):
        service = {"urls": {}, "settings": {}, "refused": {}, "service": "http://127.0.0.1:6066"}
        (folder / ADDRESSES).write_text(json.dumps(service))
        result = CliRunner().invoke(main, ["up", "--plain"])
    assert result.exit_code == 1
    assert result.output == (
        f"Error: a platform runs on {folder} (process {os.getpid()}); its page: http://127.0.0.1:6066/; "
        "stop it first, or set K2_DATA_DIR to another folder\n"
    )


def test_what_never_started_is_not_said_to_stop(folder, monkeypatch):
    async def refused(self):
        raise StackError("no room")

    monkeypatch.setattr(Platform, "_start", refused)
    result = CliRunner().invoke(main, ["up", "--plain"])
    assert result.exit_code == 1
    assert result.output.endswith("Error: no room\n")
    assert "stopp" not in result.output
