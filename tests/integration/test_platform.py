"""The whole platform, as a user runs it, against its oracle."""

import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import hypothesis
import pyarrow as pa
import pytest
import schemathesis
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from schemathesis.core.result import Ok

import k2stream
from k2stream import instruments, settings, topics
from k2stream.cli import main
from k2stream.iceberg import tables
from k2stream.iceberg.catalog import open_catalog
from k2stream.iceberg.commit import committed
from k2stream.model import clock
from tests import spot_clients
from tests.integration import documented
from tests.integration.asking import PARTITIONS, has_rows, k2, maintain, service, urls
from tests.integration.partitions import TWO
from tests.integration.waiting import ready, until
from tests.made_up_requests import CHECKS, described

pytestmark = [pytest.mark.integration, pytest.mark.platform]

ROOT = Path(__file__).parents[2]
BRONZE, SILVER, GOLD = "cold.bronze_trades_kraken", "cold.silver_trades", "cold.gold_ohlcv_1m"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """`k2 up` on a folder of its own with topics of two partitions, and the folder."""
    folder = tmp_path_factory.mktemp("platform") / "data"
    log = (folder.parent / "up.log").open("w")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("K2_") or "CACHE" in key}
    environ |= {**PARTITIONS, "K2_DATA_DIR": str(folder), "K2_COLD_COMMIT_SECONDS": "30"}
    command = [sys.executable, "-m", "k2stream", "up", "--plain", "--rate", "100"]
    process = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT)
    workers = folder / "workers.json"
    try:
        until(lambda: workers.exists() and ready(workers), 90, process, Path(log.name))
        yield folder, process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        finally:
            process.kill()


def test_candles_of_every_instrument_are_served(platform):
    folder, process = platform
    base = urls(folder)["candles"]

    with httpx.Client(base_url=base) as client:

        def served(item):
            answer = client.get(f"/ohlcv/{item.exchange}/{item.canonical.replace('/', '-')}/1m")
            return answer.status_code == 200 and answer.json()["candles"] and answer.json()["simulated"]

        for item in instruments.load(settings.Settings().feeds.instruments_file):
            until(lambda item=item: served(item), 30, process, folder.parent / "up.log")


@pytest.mark.parametrize(("prefix", "symbol"), [("", "BTC/USDT"), ("/kraken", "BTC/USD")])
def test_clients_of_the_mirrored_api_read_and_watch_it(platform, prefix, symbol):
    folder, process = platform
    base, name = service(folder) + prefix, symbol.replace("/", "")
    log = folder.parent / "up.log"
    until(lambda: httpx.get(f"{base}/api/v3/trades?symbol={name}").json(), 60, process, log)
    spot_clients.check(base, symbol)


def test_requests_made_up_from_its_document_are_answered_as_it_says(platform):
    folder, _ = platform
    listed = instruments.load(settings.Settings().feeds.instruments_file)
    schema = schemathesis.openapi.from_dict(described(listed))
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @given(operation.as_strategy())
        @hypothesis.settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
        def answered(case):
            case.call_and_validate(base_url=service(folder), checks=CHECKS)

        answered()
    assert "Traceback" not in (folder / "logs" / "candles.log").read_text()


def test_commands_find_the_running_platform(platform):
    folder, _ = platform
    env = {**PARTITIONS, "K2_DATA_DIR": folder}
    commands = (["status"], ["candles", "BTC/USDT", "1m"], ["topics"], ["reset", "--yes"])
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(k2, *command, env=env, timeout=60) for command in commands]
        shown, candles, topics, refused = (answer.result() for answer in asked)
    assert shown.returncode == 0, shown.stderr
    for word in ("SIMULATED", "binance", "kraken", "coinbase", " up ", "ClickHouse", "Iceberg"):
        assert word in shown.stdout
    assert candles.returncode == 0, candles.stderr
    assert "binance" in candles.stdout
    assert "market.crypto.trades.normalized" in topics.stdout
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1


WALKED = (
    *(
        "status",
        "topics",
        "partitions",
        "symbols",
        "schemas",
        "settings",
        "doctor",
        "validate --list",
        "completion zsh",
    ),
    *("candles BTC/USDT 1m", "trades kraken BTC/USD --limit 5", "agree", "export kraken BTC/USD 1m --to ."),
    *("dlq list", "dlq list --summary", "dlq replay --all", "refill silver_trades"),
    *("cold flush", "cold adopt", "cold scan silver_trades --limit 1", "cold maintain --dry-run"),
    *("sql SELECT+count()+FROM+silver_trades_view", "migrate"),
)
"""What answers beside a running platform within moments; `+` is a space."""


@pytest.fixture
def beside(platform, tmp_path, monkeypatch):
    """This process as that of a command beside the platform, in an empty folder."""
    folder, process = platform
    until(lambda: has_rows(folder, [SILVER]), 90, process, folder.parent / "up.log")
    monkeypatch.chdir(tmp_path)
    for name, value in {**PARTITIONS, "K2_DATA_DIR": str(folder)}.items():
        monkeypatch.setenv(name, value)
    settings.current.cache_clear()
    yield folder
    settings.current.cache_clear()


def test_every_command_answers_in_json(beside):
    """In this process; the tables can be declared once in one, so those commands have one of their own."""
    for line in WALKED:
        words = [word.replace("+", " ") for word in line.split()]
        result = CliRunner().invoke(main, [*words, "--json"])
        assert result.exit_code == 0, f"{line}: {result.output} {result.exception!r}"
        assert all(isinstance(json.loads(text), dict) for text in result.stdout.splitlines()), line
        if line.split()[0] in ("status", "topics", "symbols", "candles", "trades"):
            assert json.loads(result.stdout)["simulated"] is True, line
    env = {**PARTITIONS, "K2_DATA_DIR": beside}
    shown = k2("table", "show", "ohlcv_1m", "--limit", "2", "--json", env=env, timeout=60)
    rows = json.loads(shown.stdout)["rows"]
    assert len(rows) == 2 and all(isinstance(row["close"], str) for row in rows)


def test_what_only_reads_cannot_write(platform, monkeypatch):
    folder, _ = platform
    monkeypatch.setenv("K2_DATA_DIR", str(folder))
    settings.current.cache_clear()
    monkeypatch.setattr("k2stream.commands.sql.check", lambda query, write: None)  # the server refuses, too
    try:
        created = CliRunner().invoke(main, ["sql", "CREATE TABLE written (x Int8) ENGINE = Memory"])
        assert created.exit_code == 1 and "readonly" in created.stderr
        assert "written" not in CliRunner().invoke(main, ["sql", "SHOW TABLES"]).stdout
    finally:
        settings.current.cache_clear()


def test_a_second_platform_on_the_same_folder_is_refused_in_one_line(platform):
    folder, process = platform
    result = k2("up", "--plain", env={"K2_DATA_DIR": folder}, timeout=30)
    assert result.returncode == 1
    assert str(process.pid) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.fault  # of minutes
def test_a_backfill_brings_what_was_before_the_feed(platform):
    """The exchanges traded before the workers were there; what it changes is verified below."""
    folder, _ = platform
    env = {**PARTITIONS, "K2_DATA_DIR": folder}
    for exchange in topics.EXCHANGES:
        asked = ("--exchange", exchange, "--symbol", "ETH/USD" if exchange != "binance" else "ETH/USDT")
        result = k2("backfill", *asked, "--from", clock.now_us() // 1000 - 3_600_000, env=env, timeout=120)
        assert result.returncode == 0, result.stderr
        numbers = re.match(r"([0-9,]+) trades returned by .*, ([0-9,]+) published", result.stdout)
        assert numbers is not None, result.stdout
        told, published = (int(number.replace(",", "")) for number in numbers.groups())
        assert 0 < published <= told
        assert (published < told) == (exchange == "kraken")  # ids are told apart later, by the normaliser
        assert "SIMULATED" in result.stderr
    refused = k2("backfill", *asked, "--from", "2026-13-01", env=env, timeout=60)
    assert refused.returncode == 2 and "must be ms since 1970 or ISO 8601" in refused.stderr.splitlines()[-1]


@pytest.mark.fault  # half a minute; test_platform_demo.py and test_new_exchange.py verify, too
def test_verify_agrees_while_it_runs(platform):
    folder, _ = platform
    result = k2("verify", env={**PARTITIONS, "K2_DATA_DIR": folder}, timeout=180)
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[-1].startswith("OK: every layer agrees, ")


@pytest.mark.fault  # of minutes
def test_a_replay_agrees_while_it_runs(platform):
    folder, _ = platform
    result = k2("replay", env={**PARTITIONS, "K2_DATA_DIR": folder}, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == "0 differences"


def test_the_notebook_runs(platform, monkeypatch):
    folder, process = platform
    stores = settings.make(data_dir=str(folder), **TWO)

    def settled():
        """Whether a final candle has all its trades in the stores."""
        found = k2stream.read_candles(
            "binance", "BTC/USDT", "1m", quality=True, source="lake", settings=stores
        )
        held = [row for row in found.to_pylist() if row["final"]][:1]
        return held and held[0]["volume"] == sum(
            k2stream.read_trades(
                "binance", "BTC/USDT", held[0]["open_time"], held[0]["close_time"], settings=stores
            )["quantity"].to_pylist()
        )

    until(settled, 90, process, folder.parent / "up.log")
    monkeypatch.setattr("k2stream.read.rest.PAGE_SIZE", 7)
    opened = k2stream.read_candles("binance", "BTC/USDT", "1m", source="lake", settings=stores)["open_time"]
    asked = "binance", "BTC/USDT", None, opened[1].as_py()
    stored, served = (
        k2stream.read_trades(*asked, source=source, settings=stores).sort_by("raw_offset").to_pylist()
        for source in ("lake", "rest")
    )
    assert served == stored and len(stored) > 7
    environ = {**os.environ, **PARTITIONS, "K2_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "tests.notebook", "docs/notebook.ipynb"]
    result = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "ClickHouse and Iceberg" in result.stdout.splitlines()[-1]


def test_the_commands_of_the_pages_run(beside):
    """After the notebook has waited for a final candle."""
    for page, call in documented.calls():
        try:
            documented.check(call, service(beside))
        except Exception as error:
            raise AssertionError(f"{page}: {' '.join(call.words)}") from error


def test_the_bot_of_the_first_page_trades(beside):
    said = documented.said_by_the_bot(service(beside), lines=2)
    assert [line.split()[0] for line in said] == ["bought", "sold"]


def test_every_process_logs_one_json_object_per_line(platform):
    folder, _ = platform
    logs = {path.stem: path.read_text().splitlines() for path in (folder / "logs").glob("*.log")}
    written = {
        name: [json.loads(line) for line in lines] for name, lines in logs.items() if name != "registry"
    }
    workers = set(urls(folder))
    assert written.keys() == workers | {"kafka", "clickhouse", "simulate"}
    for name, records in written.items():
        for record in records:
            assert {"timestamp", "level", "logger", "event", "role", "worker"} <= record.keys(), record
            assert record["worker"] == name
        assert {record["logger"] for record in records} & {"httpx", "mode.redirect"} == set()
        if name in workers:
            assert any("Ready" in record["event"] for record in records), name
            assert ({"exchange"} <= records[0].keys()) == name.startswith("ingest-")
    places = [record for record in written["normalize"] if "exchange" in record]
    assert {record["exchange"] for record in places} <= set(topics.EXCHANGES)


@pytest.mark.fault  # half a minute; the audit below maintains them, too
@pytest.mark.parametrize("names", [(SILVER, GOLD), tuple(tables.TABLES)], ids=["some", "all"])
def test_cold_tables_are_maintained_and_audited_while_it_runs(platform, names):
    folder, process = platform
    until(lambda: has_rows(folder, names), 90, process, folder.parent / "up.log")
    result, entries = maintain(folder, *names)
    assert result.returncode == 0, result.stdout + result.stderr
    assert entries["cold.silver_trades", "compact"]["files_before"] > 0
    audited = {name: entry["rows"] for (name, step), entry in entries.items() if step == "audit"}
    assert set(audited) == set(names)
    assert all(audited.values())


def test_an_audit_finds_what_is_missing_doubled_or_different(platform):
    """The last test of this platform: it spoils the cold tables."""
    folder, process = platform
    catalog = open_catalog(settings.make(data_dir=str(folder)).iceberg)

    def finals():
        return catalog.load_table(GOLD).scan(row_filter="final == true").to_arrow().sort_by("open_time")

    until(lambda: has_rows(folder, [GOLD]) and len(finals()), 90, process, folder.parent / "up.log")
    committed(lambda: catalog.load_table(BRONZE).delete("raw_offset == 5 and raw_partition == 0"))
    doubled = catalog.load_table(SILVER).scan(row_filter="exchange == 'binance'", limit=1).to_arrow()
    committed(lambda: catalog.load_table(SILVER).append(doubled))
    candles = finals()
    changed = candles.slice(0, 1).to_pylist()
    changed[0] |= {"revision": changed[0]["revision"] + 1, "close": changed[0]["close"] + 1}
    committed(lambda: catalog.load_table(GOLD).append(pa.Table.from_pylist(changed, candles.schema)))

    result, entries = maintain(folder, BRONZE, SILVER, GOLD)
    assert result.returncode == 1
    assert {
        step: entry["status"] for (_, step), entry in entries.items() if step != "audit"
    } == dict.fromkeys(("compact", "expire", "orphans"), "OK")
    found = {name: entries[name, "audit"] for name in (BRONZE, SILVER, GOLD)}
    assert {name: entry["status"] for name, entry in found.items()} == {
        BRONZE: "MISSING", SILVER: "ERROR", GOLD: "ERROR"
    }  # fmt: skip
    assert "missing: kraken[0] offset 5" in found[BRONZE]["detail"]
    assert "1 there more than once" in found[SILVER]["detail"]
    assert " different: " in found[GOLD]["detail"]
