"""Every command with nothing running: one line with what to do, the right exit code, and nothing created."""

import functools
import json
import warnings

import click
import pytest
from click.testing import CliRunner

from k2stream import settings
from k2stream.cli import main
from k2stream.tables.catalog import catalog
from tests.unit.commands.collected import collected
from tests.unit.docs.pages import ROOT

FRAMES = str(ROOT / "tests" / "playback" / "coinbase" / "frames.jsonl")

DONE = {
    "k2 reset": "--yes",
    "k2 symbols": "",
    "k2 schemas": "",
    "k2 settings": "",
    "k2 completion": "bash",
    "k2 inspect": f"--exchange coinbase --as summary {FRAMES}",
    "k2 validate": "--list",
}
"""What works with nothing running."""

FAILED = {
    "k2 worker": "candles",
    "k2 mirror": "--exchange kraken --from 0",
    "k2 status": "",
    "k2 top": "",
    "k2 candles": "BTC/USDT 1m",
    "k2 trades": "kraken BTC/USD",
    "k2 partitions": "",
    "k2 topics": "",
    "k2 sql": "SHOW",
    "k2 dlq list": "",
    "k2 dlq show": "3",
    "k2 dlq replay": "--all",
    "k2 table list": "",
    "k2 table show": "ohlcv_1m",
    "k2 table export": "ohlcv_1m",
    "k2 export": "kraken BTC/USD 1m",
    "k2 doctor": "",
    "k2 verify": "",
    "k2 agree": "",
    "k2 explain": "kraken BTC/USD 1m 2026-11-20T00:00",
    "k2 replay": "",
    "k2 backfill": "--exchange kraken --symbol BTC/USD --from 0",
    "k2 mend": "candles",
    "k2 refill": "silver_trades",
    "k2 cold flush": "",
    "k2 cold maintain": "",
    "k2 cold adopt": "",
    "k2 cold scan": "silver_trades",
}
"""What needs something that runs."""

ELSEWHERE = {
    "k2 up": "starts everything itself: tests/integration/test_platform.py",
    "k2 demo": "the same",
    "k2 simulate": "needs nothing and serves until it is stopped: tests/unit/simulator",
    "k2 migrate": "waits 15 seconds for a registry",
}


def leaves(command: click.Command, name: str = "k2"):
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command, info_name=name)
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        assert found is not None
        yield from leaves(found, f"{name} {below}")


def test_every_command_is_walked():
    assert {*DONE, *FAILED, *ELSEWHERE} == set(leaves(main))


@functools.cache
def _tables():
    return catalog(settings.Settings())


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """An empty folder, and settings of which no server answers."""
    monkeypatch.chdir(tmp_path)
    nowhere = {
        "K2_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "K2_REGISTRY_URL": "http://127.0.0.1:1",
        "K2_CLICKHOUSE_PORT": "1",
        "K2_CACHE_DIR": str(tmp_path / "cache"),
        **{f"K2_{name}_REST_URL": "http://127.0.0.1:1" for name in ("BINANCE", "KRAKEN", "COINBASE")},
    }
    for name, value in nowhere.items():
        monkeypatch.setenv(name, value)
    # Faust's tables can be declared once in a process.
    monkeypatch.setattr("k2stream.commands.table.catalog", lambda _: _tables())
    settings.current.cache_clear()
    yield tmp_path
    settings.current.cache_clear()


def run(name, arguments):
    """Runs a command as a process would, and collects what it left unclosed."""
    with warnings.catch_warnings(), collected():
        warnings.simplefilter("error", ResourceWarning)
        result = CliRunner().invoke(main, [*name.split()[1:], *arguments.split()])
    assert isinstance(result.exception, (SystemExit, type(None))), repr(result.exception)
    return result


@pytest.mark.parametrize("name", DONE)
def test_what_needs_nothing_works(name, nothing):
    result = run(name, f"{DONE[name]} --json")
    assert result.exit_code == 0, result.stderr
    assert [json.loads(line) for line in result.stdout.splitlines()]
    assert list(nothing.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in FAILED if name != "k2 doctor"])
def test_what_needs_a_server_says_so_in_one_line_and_creates_nothing(name, nothing, caplog):
    result = run(name, FAILED[name])
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and len(line) < 400
    assert any(word in line for word in ("`k2 up`", "start ", "give --url", "k2 worker", "cold worker")), line
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    assert list(nothing.iterdir()) == []


@pytest.mark.parametrize("name", ["k2 topics", "k2 status", "k2 trades", "k2 cold scan"])
def test_as_json_it_is_an_object(name, nothing):
    result = run(name, f"{FAILED[name]} --json")
    report = json.loads(result.stderr)
    assert (result.stdout, result.exit_code, report["exit_code"]) == ("", 1, 1)


def test_the_doctor_has_a_fix_for_each_thing_that_is_missing(nothing):
    result = run("k2 doctor", "")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.count("→") == sum(
        line.startswith(("warn", "fail")) for line in result.stdout.splitlines()
    )
    assert list(nothing.iterdir()) == []
