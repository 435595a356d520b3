"""A canonical field more, from one release to the next, on one data folder and while workers run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

import k2stream
from k2stream.clickhouse.destination import connect
from k2stream.embedded import datadir
from k2stream.iceberg.catalog import open_catalog
from k2stream.platform.addresses import local_settings
from k2stream.settings import make
from tests.fault import report

pytestmark = pytest.mark.fault

ROOT = Path(k2stream.__file__).parents[1]
FIELD = {"name": "lots", "type": "long", "default": 7}
FILLED = "columns = exchange.normalize(records)"
RUN_SECONDS = 15


@pytest.fixture
def releases(tmp_path):
    """This release's folder and the next one's, which has a field more and fills it with 11."""
    following = tmp_path / "next"
    shutil.copytree(ROOT / "k2stream", following / "k2stream", ignore=shutil.ignore_patterns("__pycache__"))
    schema = following / "k2stream" / "schemas" / "avro" / "trade.avsc"
    declared = json.loads(schema.read_text())
    declared["fields"].append(FIELD)
    schema.write_text(json.dumps(declared))
    records = following / "k2stream" / "normalizer" / "records.py"
    code = records.read_text()
    assert FILLED in code
    filled = f'{FILLED}\n    columns = replace(columns, added={{"lots": [11] * len(records)}})'
    records.write_text(code.replace(FILLED, filled))
    return ROOT, following


def k2(release, data, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "k2stream", *arguments],
        cwd=release,
        env=environment(data),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(data):
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("K2_") or "CACHE" in name
    }
    return inherited | {"K2_DATA_DIR": str(data), "K2_COLD_COMMIT_SECONDS": "5"}


@contextmanager
def up(release, data):
    log = data.parent / f"{release.name}.log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "k2stream", "up", "--plain", "--rate", "100"]
        process = subprocess.Popen(command, cwd=release, env=environment(data), stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while "candles: http" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        time.sleep(RUN_SECONDS)  # it trades
        yield
        assert process.poll() is None, log.read_text()
        assert "restarting" not in log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_a_field_more_goes_through_every_layer_and_old_data_stay_readable(releases, tmp_path):
    """One command evolves registry, ClickHouse and Iceberg beside workers that do not know the field.

    Short form: tests/property/test_added_fields.py::test_they_are_written_and_read_as_fastavro_does.
    """
    this, following = releases
    data = tmp_path / "data"
    with up(this, data):
        said = k2(following, data, "migrate")
        assert "applied silver_trades.lots" in said
        assert "added cold.silver_trades.lots" in said
        assert "up to date" in k2(following, data, "migrate").splitlines()[-1]
        time.sleep(RUN_SECONDS)  # this release's workers go on, and commit
        k2(this, data, "cold", "flush")
        k2(this, data, "verify")
    with up(following, data):
        k2(following, data, "verify")
        k2(following, data, "validate")
        k2(following, data, "cold", "maintain")
        running = datadir.running(data)
        assert running is not None
        settings = local_settings(make(data_dir=str(data)), running)
        place = ("exchange", "raw_partition", "raw_offset")
        rows = connect(settings.clickhouse).execute(
            f"SELECT {', '.join(place)}, lots FROM k2.silver_trades FINAL"
        )
        hot = {tuple(at): lots for *at, lots in rows}
        held = open_catalog(settings.iceberg).load_table("cold.silver_trades")
        rows = held.scan(selected_fields=(*place, "lots")).to_arrow().to_pylist()
    cold = {tuple(row[name] for name in place): row["lots"] for row in rows}
    both = cold.keys() & hot.keys()  # it trades on: either may have more
    assert all(hot[at] == (7 if cold[at] is None else cold[at]) for at in both)
    counted = Counter(cold[at] for at in both)
    assert counted[None] and counted[11]
    assert not re.search(r"Traceback", (data / "logs" / "hot.log").read_text())
    report.record(
        "evolution",
        {"fields": 1, "releases beside each other": 2},
        {"rows from before": counted[None], "with a value": counted[11], "with the default": counted[7]},
    )
