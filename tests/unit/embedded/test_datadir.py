import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from k2stream.embedded import datadir
from k2stream.embedded.endpoints import Endpoints
from k2stream.embedded.errors import StackError

HOLD = """
import sys
from pathlib import Path
from k2stream.embedded import datadir
with datadir.owned(Path(sys.argv[1])):
    print("owned", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.communicate()


def endpoints(folder: Path) -> Endpoints:
    return Endpoints(
        kafka_port=20001,
        registry_port=20002,
        clickhouse_port=20003,
        clickhouse_http_port=20004,
        data_dir=folder,
    )


def test_a_living_owner_is_named(folder, holder):
    assert datadir.owner(folder) == holder.pid
    refused = pytest.raises(StackError, match=rf"process {holder.pid} runs a stack on .*K2_DATA_DIR")
    with refused, datadir.owned(folder):
        pass
    with pytest.raises(StackError, match="runs a stack"):
        datadir.wipe(folder)


def test_the_lock_of_a_killed_owner_is_taken_over(folder, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (folder / datadir.LOCK).read_text() == str(holder.pid)
    assert datadir.owner(folder) is None
    with datadir.owned(folder):
        assert datadir.owner(folder) == os.getpid()
    assert datadir.owner(folder) is None


def test_a_stack_is_running_only_while_its_folder_is_owned(folder):
    assert datadir.running(folder) is None
    with datadir.owned(folder):
        datadir.remember(endpoints(folder))
        assert datadir.running(folder) == endpoints(folder)
    assert datadir.running(folder) is None
    assert datadir.remembered(folder) == endpoints(folder)


def test_endpoints_are_urls_on_the_loopback(folder):
    assert endpoints(folder).bootstrap == "127.0.0.1:20001"
    assert endpoints(folder).registry_url == "http://127.0.0.1:20002/apis/ccompat/v7"


@pytest.mark.parametrize("text", ["", "[]", '{"kafka_port": 1}', '{"other": 1}', '{"kafka_port": "x"}'])
def test_a_damaged_note_is_no_note(folder, text):
    folder.mkdir()
    (folder / datadir.ENDPOINTS).write_text(text)
    assert datadir.remembered(folder) is None


def test_wipe_empties_the_folder_and_follows_no_link(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    with datadir.owned(folder):
        (folder / "kafka" / "log").mkdir(parents=True)
        (folder / "link").symlink_to(outside)
        datadir.remember(endpoints(folder))
    datadir.wipe(folder)
    assert [entry.name for entry in folder.iterdir()] == [datadir.LOCK]
    assert (outside / "kept").exists()


def test_a_folder_with_other_files_is_neither_used_nor_wiped(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(StackError, match="not K2 stream's"):
        datadir.wipe(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_workers_wrote_to_first_can_be_used(folder):
    (folder / "workers").mkdir(parents=True)
    with datadir.owned(folder):
        assert datadir.owner(folder) == os.getpid()


def test_what_starts_on_a_folder_has_not_the_endpoints_of_before(folder, holder):
    """Until it had started, commands asked the ports of the run before, which others may have by then."""
    datadir.remember(endpoints(folder))  # by this process, as of the run before
    assert datadir.owner(folder) == holder.pid
    assert datadir.running(folder) is None
    assert datadir.remembered(folder) == endpoints(folder)


def test_a_note_of_the_release_before_is_that_of_whoever_runs(folder, holder):
    datadir.remember(endpoints(folder))
    note = json.loads((folder / datadir.ENDPOINTS).read_text())
    del note["owner"]
    (folder / datadir.ENDPOINTS).write_text(json.dumps(note))
    assert datadir.running(folder) == endpoints(folder)
