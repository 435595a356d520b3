"""Maintenance on a real catalog: every row stays, once, whatever is killed or overtaken."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyiceberg.io.pyarrow import ArrowScan

from k2stream import settings
from k2stream.cli import main
from k2stream.delivery.progress import SinkPosition
from k2stream.iceberg import tables, writer
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.destination import Iceberg
from k2stream.iceberg.maintenance import compact, log, maintain, orphans, rewrite
from k2stream.model.errors import ConfigError
from tests.integration.cold_samples import (
    GOLD,
    KRAKEN,
    SILVER,
    fill,
    held,
    once,
    opened,
    run,
    write_trades,
)

pytestmark = pytest.mark.integration

NAME = "cold.silver_trades"


@pytest.fixture
def config(tmp_path):
    return settings.IcebergSettings(data_dir=str(tmp_path))


@pytest.fixture
def store(config):
    return opened(config)


def load(config, name=NAME):
    return open_catalog(config).load_table(name)


def data_files(config, name=NAME):
    return [task.file for task in load(config, name).scan().plan_files()]


def on_disk(config, name=NAME, suffix=".parquet"):
    folder = Path(load(config, name).location().removeprefix("file://"))
    return {str(path) for path in folder.rglob(f"*{suffix}") if path.is_file()}


def test_all_steps_leave_one_sorted_file_a_partition_and_no_orphans(config, store):
    fill(store)
    before = load(config).scan().to_arrow().sort_by("raw_offset")
    entries = run(config)
    assert {entry.status for entry in entries} == {"OK"}
    assert held(config) == once(500)
    assert held(config, KRAKEN.table) == once(500)
    assert load(config).scan().to_arrow().sort_by("raw_offset") == before  # every value, maps too

    for name in (SILVER.table, KRAKEN.table, GOLD.table):
        files = data_files(config, name)
        partitions = [str(file.partition) for file in files]
        assert len(partitions) == len(set(partitions))
        assert {file.file_path.removeprefix("file://") for file in files} == on_disk(config, name)
        order = tables.TABLES[name].order
        for file in files:
            rows = pq.read_table(
                file.file_path.removeprefix("file://"), columns=list(order), partitioning=None
            )
            keys = list(zip(*(rows[column].to_pylist() for column in order), strict=True))
            assert keys == sorted(keys)
            assert file.sort_order_id == load(config, name).sort_order().order_id != 0
    assert len(load(config).snapshots()) == 1

    by_step = {(entry.table, entry.step): entry for entry in entries}
    compacted = by_step[NAME, "compact"]
    assert (compacted.files_before, compacted.files_after, compacted.rows) == (10, 2, 500)
    assert compacted.bytes_after < compacted.bytes_before
    logged = load(config, log.NAME).scan().to_arrow().to_pylist()
    assert len(logged) == len(entries) == 4 * 3 + 3
    assert {row["status"] for row in logged} == {"OK"}


def test_the_sink_goes_on_after_compaction_and_expiry(config, store):
    fill(store)
    run(config)
    restarted = Iceberg(config)
    assert restarted.positions(SILVER) == {0: SinkPosition(499)}
    write_trades(restarted, 500)
    run(config)
    assert Iceberg(config).positions(SILVER) == {0: SinkPosition(599)}
    assert held(config) == once(600)


def test_a_second_run_has_nothing_to_do(config, store):
    fill(store, commits=2)
    run(config)
    files, snapshot = on_disk(config), load(config).current_snapshot()
    run(config)
    assert (on_disk(config), load(config).current_snapshot()) == (files, snapshot)


def test_young_snapshots_and_files_stay(config, store):
    fill(store, commits=2)
    files, limits = on_disk(config), maintain.Limits(1_000_000, 3600.0, 3600.0)
    run(config, [NAME], limits)
    assert files < on_disk(config)
    assert len(load(config).snapshots()) == 4  # two appends, two bins
    oldest = load(config).snapshots()[0]
    assert load(config).scan(snapshot_id=oldest.snapshot_id).count() == 100  # time travel


def test_rows_in_memory_are_bounded_and_the_result_is_stable(config, store):
    fill(store, commits=6)
    limits = maintain.Limits(100, 0.0, 0.0)
    run(config, [KRAKEN.table], limits)  # commits of 100 rows are large enough
    assert len(data_files(config, KRAKEN.table)) == 6
    run(config, [NAME], limits)  # 50 rows a file and partition
    assert sorted(file.record_count for file in data_files(config)) == [100] * 6
    assert held(config) == once(600)


def test_a_file_without_its_rows_is_not_replaced(config, store, monkeypatch):
    fill(store, commits=2)
    real = ArrowScan.to_table
    monkeypatch.setattr(ArrowScan, "to_table", lambda self, tasks: real(self, tasks[1:]))
    (entry, *_) = run(config, [NAME])
    assert entry.status == "ERROR"
    assert entry.detail.startswith("RowsLost: 2 files hold 50 rows, their metadata says 100")
    monkeypatch.undo()
    assert held(config) == once(200)


def test_nothing_is_removed_where_the_tables_own_files_are_not_found(config, store):
    fill(store, commits=2)
    stray = Path(data_files(config)[0].file_path.removeprefix("file://"))
    left = on_disk(config)
    stray.rename(stray.with_suffix(".moved"))
    entries = run(config, [NAME])
    assert [(entry.step, entry.status) for entry in entries] == [("compact", "ERROR"), ("audit", "OK")]
    with pytest.raises(orphans.FilesGone, match=r"^1 data files of the table are not in"):
        orphans.find(lambda: load(config), maintain._ago(0.0))
    assert on_disk(config) >= left - {str(stray)}


def test_files_that_people_put_there_stay(config, store):
    fill(store, commits=2)
    folder = Path(load(config).location().removeprefix("file://")) / "metadata"
    (folder / "version-hint.text").write_text("1")
    (folder / "left.avro").write_text("")
    run(config, [NAME])
    assert (folder / "version-hint.text").exists()
    assert not (folder / "left.avro").exists()


def test_a_failing_table_stops_neither_its_audit_nor_the_others(config, store, monkeypatch):
    fill(store, commits=2)
    real = compact.compact

    def fail(load, order, max_rows):
        if load().name() == ("cold", "bronze_trades_kraken"):
            raise OSError("no space left")
        real(load, order, max_rows)

    monkeypatch.setattr(compact, "compact", fail)
    entries = run(config, [KRAKEN.table, NAME])
    assert [(entry.table, entry.step) for entry in entries if entry.status == "ERROR"] == [
        (KRAKEN.table, "compact")
    ]
    assert [entry.step for entry in entries if entry.table == KRAKEN.table] == ["compact", "audit"]
    assert len(data_files(config)) == 2
    failed = load(config, log.NAME).scan(row_filter="status == 'ERROR'").to_arrow().to_pylist()
    assert [row["detail"] for row in failed] == ["OSError: no space left"]


def test_a_compaction_that_the_sink_overtakes_is_committed_on_top_of_it(config, store, monkeypatch):
    fill(store)
    real, overtaken = writer.carried, []

    def overtake(table):
        properties = real(table)
        if len(overtaken) < 3:
            overtaken.append(True)
            write_trades(Iceberg(config), 500 + 100 * len(overtaken) - 100)
        return properties

    monkeypatch.setattr(compact, "carried", overtake)
    compact.compact(lambda: load(config), tables.TABLES[NAME].order, 1_000_000)
    assert held(config) == once(800)
    assert Iceberg(config).positions(SILVER) == {0: SinkPosition(799)}
    assert len(data_files(config)) == 2 + 3 * 2


def test_two_maintenances_at_once_leave_every_row_once(config, store, monkeypatch):
    fill(store)
    real, entered = rewrite.rewrite, []

    def meanwhile(table, tasks, order):
        merged = real(table, tasks, order)
        if not entered:
            entered.append(True)
            compact.compact(lambda: load(config), order, 1_000_000)
        return merged

    monkeypatch.setattr(compact, "rewrite", meanwhile)
    compact.compact(lambda: load(config), tables.TABLES[NAME].order, 1_000_000)
    assert held(config) == once(500)
    assert len(data_files(config)) == 2


def test_appends_go_on_while_it_runs(config, store):
    fill(store)
    done = threading.Event()

    def append():
        sink = Iceberg(config)
        for first in range(500, 1500, 100):
            write_trades(sink, first)
        done.set()

    sink = threading.Thread(target=append)
    sink.start()
    limits = maintain.Limits(1_000_000, 0.0, 3600.0)
    runs = 0
    while not done.is_set() or not runs:
        assert {entry.status for entry in run(config, [NAME], limits)} == {"OK"}
        runs += 1
    sink.join()
    assert held(config) == once(1500)
    assert Iceberg(config).positions(SILVER) == {0: SinkPosition(1499)}
    run(config, [NAME])
    assert held(config) == once(1500)
    assert len(data_files(config)) == 2


KILLS = {
    "before a rewrite": "k2stream.iceberg.maintenance.compact.rewrite",
    "after a rewrite": "k2stream.iceberg.maintenance.compact.committed",
    "before the catalog's commit": "sqlalchemy.orm.Session.commit",
    "after the catalog's commit": "after pyiceberg.catalog.sql.SqlCatalog.commit_table",
    "after the first bin of two": "2 k2stream.iceberg.maintenance.compact.committed",
    "before expiry": "pyiceberg.table.update.snapshot.ExpireSnapshots.commit",
    "after expiry": "after pyiceberg.table.update.snapshot.ExpireSnapshots.commit",
    "before orphans are removed": "k2stream.iceberg.maintenance.orphans.remove",
    "amid the orphans": "",
    "before the log is written": "k2stream.iceberg.maintenance.log.append",
}
"""Where the process dies: at the first (or nth) call of it, or after that."""

TELLING = ("after a rewrite", "after the catalog's commit", "after the first bin of two", "amid the orphans")
POINTS = [pytest.param(point, marks=[] if point in TELLING else pytest.mark.fault) for point in KILLS]

SCRIPT = """
import importlib, os, signal, sys
from k2stream import settings
from k2stream.iceberg.maintenance import orphans
from tests.integration.cold_samples import run

if sys.argv[1].startswith("amid"):
    real_remove = orphans.remove
    def remove(table, paths):
        real_remove(table, paths[: len(paths) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    orphans.remove = remove
else:
    *how, where = sys.argv[2].split()
    parts = where.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:depth]))
            break
        except ImportError:
            continue
    for name in parts[depth:-1]:
        owner = getattr(owner, name)
    real, left = getattr(owner, parts[-1]), int(how[0]) if how and how[0].isdigit() else 1
    def die(*args, **kwargs):
        global left
        left -= 1
        if left:
            return real(*args, **kwargs)
        if how == ["after"]:
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, parts[-1], die)
run(settings.IcebergSettings(data_dir=sys.argv[3]), ["silver_trades"])
"""


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_every_row_is_there_once_and_the_next_run_completes(config, store, point):
    fill(store, commits=3)
    command = [sys.executable, "-c", SCRIPT, point, KILLS[point], config.data_dir]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert held(config) == once(300)
    write_trades(Iceberg(config), 300)
    assert held(config) == once(400)
    assert Iceberg(config).positions(SILVER) == {0: SinkPosition(399)}

    assert {entry.status for entry in run(config)} == {"OK"}
    assert held(config) == once(400)
    files = data_files(config)
    assert len(files) == 2
    assert {file.file_path.removeprefix("file://") for file in files} == on_disk(config)
    assert len(load(config).snapshots()) == 1


def k2(config, given_settings, *arguments, **given):
    given_settings(settings.make(data_dir=config.data_dir, **given))
    return CliRunner().invoke(main, ["cold", *arguments])


def test_a_dry_run_changes_nothing(config, store, given_settings):
    fill(store, commits=3)
    files = on_disk(config, suffix="")
    shown = k2(config, given_settings, "maintain", "--table", "silver_trades", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert [line.split(maxsplit=2)[1:] for line in shown.output.splitlines()] == [
        ["compact", "6 files into 2"],
        ["expire", "0 of 3 snapshots"],
        ["orphans", f"0 of {len(files)} files, 0 bytes"],
    ]
    assert on_disk(config, suffix="") == files
    assert not open_catalog(config).table_exists(log.NAME)


def test_a_failed_step_gives_a_non_zero_exit(config, store, given_settings):
    """There is no Kafka here: the audit cannot be made, and says so."""
    arguments = ("maintain", "--table", "silver_trades", "--json")
    shown = k2(config, given_settings, *arguments, kafka_bootstrap="127.0.0.1:1")
    entries = [json.loads(line) for line in shown.output.splitlines() if line.startswith("{")]
    assert [(entry["step"], entry["status"]) for entry in entries][-1] == ("audit", "ERROR")
    assert "KafkaConnectionError" in entries[-1]["detail"]
    assert shown.exit_code == 1


def test_a_table_that_does_not_exist_is_told(config, given_settings):
    with pytest.raises(
        ConfigError, match=r"^cold\.silver is not a table of the cold tier; use one of cold\.bronze_"
    ):
        maintain.names_of(["silver"])
    (entry, *_) = run(config, [NAME])
    assert (entry.status, "NoSuchTableError" in entry.detail) == ("ERROR", True)
    assert "does not exist yet" in k2(config, given_settings, "scan", "silver_trades").output


def test_scan_prints_a_slice(config, store, given_settings, monkeypatch):
    fill(store, commits=1)
    lines = k2(
        config, given_settings, "scan", "silver_trades", "--where", "raw_offset < 4 and exchange = 'kraken'",
        "--columns", "raw_offset,price,vendor_data", "--json",
    ).output.splitlines()  # fmt: skip
    assert [json.loads(line) for line in lines] == [
        {"raw_offset": offset, "price": "83285.100000000000000000", "vendor_data": {"side": "s"}}
        for offset in (0, 2)
    ]
    monkeypatch.setenv("COLUMNS", "1000")
    shown = k2(config, given_settings, "scan", "cold.silver_trades", "--limit", "3").output.splitlines()
    assert shown[0].split() == SILVER.schema.names
    assert len(shown) == 4
    wrong = k2(config, given_settings, "scan", "silver_trades", "--where", "nonsense = 1")
    assert (wrong.exit_code, "nonsense" in wrong.output) == (1, True)
